package redact

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// events masks an event stream (text/event-stream, WHATWG HTML 9.2), an event
// at a time: data that looks like JSON as JSON, other data and fields as text.
func (r *Redactor) events(dst io.Writer, src io.Reader) error {
	in := bufio.NewReaderSize(src, 4096)
	var event [][]byte
	size := 0
	afterCR := false
	for {
		line, err := r.eventLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if size += len(line); int64(size) > r.max {
			return fmt.Errorf("%w: event", ErrTooLarge)
		}
		if len(line) > 0 {
			event = append(event, line)
		}
		late := afterCR && len(line) == 1 && line[0] == '\n' // the rest of a CRLF
		afterCR = bytes.HasSuffix(line, []byte("\r"))
		// A comment on its own keeps a connection alive: it does not wait.
		alone := len(event) == 1 && len(line) > 0 && line[0] == ':'
		if err != nil || alone || !late && len(bytes.TrimRight(line, "\r\n")) == 0 {
			out, fault := r.eventOf(event)
			if fault != nil {
				return fault
			}
			if len(out) > 0 {
				if _, fault := dst.Write(out); fault != nil {
					return fault
				}
			}
			event, size = nil, 0
		}
		if err != nil {
			return nil
		}
	}
}

// eventLine reads one line with its end: LF, CRLF or CR.
func (r *Redactor) eventLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		c, err := in.ReadByte()
		if err != nil {
			return line, err
		}
		line = append(line, c)
		if int64(len(line)) > r.max {
			return nil, fmt.Errorf("%w: line of an event", ErrTooLarge)
		}
		if c == '\n' {
			return line, nil
		}
		// A CR ends the line; only what has arrived can be the LF to it.
		if c == '\r' {
			if in.Buffered() > 0 {
				if next, _ := in.Peek(1); next[0] == '\n' {
					continue
				}
			}
			return line, nil
		}
	}
}

// eventOf masks one event, given as its lines.
func (r *Redactor) eventOf(lines [][]byte) ([]byte, error) {
	var data, out []byte
	n := 0
	for _, line := range lines {
		if value, _, ok := dataLine(line); ok {
			if n++; n > 1 {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	clean, err := r.eventData(data)
	if err != nil {
		return nil, err
	}
	same := bytes.Equal(clean, data)
	written := false
	for _, line := range lines {
		_, prefix, ok := dataLine(line)
		switch {
		case !ok:
			out = append(out, r.Text(string(line))...)
		case same:
			out = append(out, line...)
		case !written:
			written = true
			end := lineEnd(line)
			for _, part := range bytes.Split(clean, []byte("\n")) {
				out = append(append(append(out, prefix...), part...), end...)
			}
		}
	}
	return out, nil
}

func (r *Redactor) eventData(data []byte) ([]byte, error) {
	if !looksJSON(data) {
		return []byte(r.Text(string(data))), nil
	}
	var out bytes.Buffer
	if err := r.JSON(&out, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// dataLine returns the value of a data field, and what stands before it.
func dataLine(line []byte) (value, prefix []byte, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	rest, ok := bytes.CutPrefix(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), []byte("data"))
	switch {
	case !ok:
		return nil, nil, false
	case len(rest) == 0:
		return nil, line, true
	case rest[0] != ':':
		return nil, nil, false
	}
	value = bytes.TrimPrefix(rest[1:], []byte(" "))
	return value, line[:len(line)-len(value)], true
}

func lineEnd(line []byte) []byte {
	return line[len(bytes.TrimRight(line, "\r\n")):]
}
