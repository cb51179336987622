package relay

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"net/textproto"
	"strings"
)

const (
	multipartWindow = 64 << 10
	maxPartHeader   = 16 << 10
	maxSealed       = 128 << 10 // longer than any sealed value
)

// A multipartEditor copies a multipart body (RFC 2046 section 5.1) and opens
// the parts whose whole content is a sealed value. It knows the one strict
// spelling - CRLF, and a delimiter on a line of its own. What another reader
// might find in a laxer one is content here, and never opened.
type multipartEditor struct {
	e     *bodyEdit
	dst   io.Writer
	r     *bufio.Reader
	delim []byte // CRLF "--" boundary
	bound string
}

func (e *bodyEdit) editMultipart(dst io.Writer, src io.Reader, boundary string) error {
	m := &multipartEditor{
		e: e, dst: &skipWriter{dst, 2}, delim: []byte("\r\n--" + boundary), bound: boundary,
		r: bufio.NewReaderSize(io.MultiReader(strings.NewReader("\r\n"), src), multipartWindow),
	}
	if err := m.until(m.copy); err != nil { // the preamble
		return m.end(err)
	}
	for {
		last, err := m.delimiterLine()
		if err != nil || last {
			return m.end(err)
		}
		if err := m.part(); err != nil {
			return m.end(err)
		}
	}
}

// skipWriter drops the line break that stands for "at the beginning".
type skipWriter struct {
	w io.Writer
	n int
}

func (s *skipWriter) Write(p []byte) (int, error) {
	skipped := min(s.n, len(p))
	s.n -= skipped
	n, err := s.w.Write(p[skipped:])
	return n + skipped, err
}

// end copies what follows the last delimiter, or what never was multipart.
func (m *multipartEditor) end(err error) error {
	if err != nil && err != io.EOF {
		return err
	}
	_, err = io.Copy(m.dst, m.r)
	return err
}

func (m *multipartEditor) copy(b []byte) error {
	_, err := m.dst.Write(b)
	return err
}

// until hands everything before the next delimiter to f and stops before it.
func (m *multipartEditor) until(f func([]byte) error) error {
	for {
		window, err := m.r.Peek(multipartWindow)
		if err != nil && err != io.EOF {
			return err
		}
		if i := m.find(window); i >= 0 {
			if err := f(window[:i]); err != nil {
				return err
			}
			return m.discard(i)
		}
		keep := len(m.delim) + 64 // a delimiter that the window cuts
		if err == io.EOF || len(window) <= keep {
			keep = 0
		}
		n := len(window) - keep
		if e := f(window[:n]); e != nil {
			return e
		}
		if e := m.discard(n); e != nil {
			return e
		}
		if err == io.EOF {
			return io.EOF
		}
	}
}

func (m *multipartEditor) discard(n int) error {
	_, err := m.r.Discard(n)
	return err
}

// find is the index of the first delimiter line in b.
func (m *multipartEditor) find(b []byte) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], m.delim)
		if i < 0 {
			return -1
		}
		if _, ok := lineEnd(b[from+i+len(m.delim):]); ok {
			return from + i
		}
		from += i + 1
	}
}

// lineEnd is the length of what may follow a delimiter: "--", or padding and
// CRLF.
func lineEnd(b []byte) (n int, ok bool) {
	if bytes.HasPrefix(b, []byte("--")) {
		return 2, true
	}
	rest := bytes.TrimLeft(b[:min(len(b), 64)], " \t")
	if !bytes.HasPrefix(rest, []byte("\r\n")) {
		return 0, false
	}
	return min(len(b), 64) - len(rest) + 2, true
}

// delimiterLine copies a delimiter and its line's end.
func (m *multipartEditor) delimiterLine() (last bool, err error) {
	b, err := m.r.Peek(len(m.delim) + 66)
	if err != nil && err != io.EOF {
		return false, err
	}
	n, _ := lineEnd(b[len(m.delim):])
	last = bytes.HasPrefix(b[len(m.delim):], []byte("--"))
	if err := m.copy(b[:len(m.delim)+n]); err != nil {
		return false, err
	}
	return last, m.discard(len(m.delim) + n)
}

// part copies one part, opened if its field is open and it is sealed.
func (m *multipartEditor) part() error {
	field, err := m.partHeader()
	if err != nil {
		return err
	}
	if field == "" {
		return m.until(m.copy)
	}
	var content []byte
	err = m.until(func(b []byte) error {
		if content != nil && len(content) == 0 { // already found too long
			return m.copy(b)
		}
		if content = append(content, b...); len(content) <= maxSealed {
			return nil
		}
		long := content
		content = []byte{}
		return m.copy(long)
	})
	if err != nil && err != io.EOF {
		return err
	}
	if err == nil && candidate(string(content)) {
		return m.open(field, string(content))
	}
	if e := m.copy(content); e != nil {
		return e
	}
	return err
}

func (m *multipartEditor) open(field, sealed string) error {
	place := shown("multipart", field)
	plain, _, err := m.e.x.open(place, sealed)
	if err != nil {
		return err
	}
	text, reason := multipartText(plain, m.bound)
	if reason != "" {
		return refuse(ErrPlace, place, reason)
	}
	m.e.opened++
	return m.copy([]byte(text))
}

// partHeader copies a part's header and returns the name of its field, or ""
// when it is not to be opened.
func (m *multipartEditor) partHeader() (field string, err error) {
	b, err := m.r.Peek(maxPartHeader)
	if err != nil && err != io.EOF {
		return "", err
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 || bytes.HasPrefix(b, []byte("\r\n")) || bytes.Contains(b[:end], m.delim) {
		return "", nil // no header, no field
	}
	end += len("\r\n\r\n")
	field = m.fieldOf(b[:end])
	if err := m.copy(b[:end]); err != nil {
		return "", err
	}
	return field, m.discard(end)
}

// fieldOf is the field that a part's header names, if it is open, names but one
// and encodes nothing.
func (m *multipartEditor) fieldOf(b []byte) string {
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(b))).ReadMIMEHeader()
	if err != nil || len(h["Content-Disposition"]) != 1 || len(h["Content-Transfer-Encoding"]) != 0 {
		return ""
	}
	disposition, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" || !m.e.x.dest.open.multipart.has(params["name"]) {
		return ""
	}
	return params["name"]
}
