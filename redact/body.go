package redact

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// A filter copies src to dst without the credentials. It has written what it
// can tell before it reads on.
type filter func(dst io.Writer, src io.Reader) error

// Bytes returns b without the credentials, by its content type: JSON, NDJSON and
// JSON text sequences, forms, event streams, text of any kind. What is neither
// text nor JSON stays. The error wraps ErrInvalid, ErrTooLarge or ErrUnreadable,
// and the result is then nil.
func (r *Redactor) Bytes(contentType string, b []byte) ([]byte, error) {
	if err := readable(contentType); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := r.body(contentType)(&out, bytes.NewReader(b)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// mediaType returns the type alone, in lower case.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// readable refuses charsets in which ASCII is spelled otherwise.
func readable(contentType string) error {
	_, params, _ := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	for _, wide := range []string{"utf-16", "utf16", "utf-32", "utf32", "utf-7", "ucs-", "iso-10646", "ebcdic", "ibm", "hz-gb"} {
		if strings.HasPrefix(charset, wide) {
			return fmt.Errorf("%w: charset", ErrUnreadable)
		}
	}
	return nil
}

// binary reports whether contentType is for something without text.
func binary(contentType string) bool {
	t := mediaType(contentType)
	for _, p := range []string{"image/", "audio/", "video/", "font/"} {
		if strings.HasPrefix(t, p) {
			return !strings.HasSuffix(t, "xml") && !strings.HasSuffix(t, "json")
		}
	}
	return t == "application/zip" || t == "application/gzip" || t == "application/pdf" || t == "application/wasm"
}

func isJSON(t string) bool {
	switch t {
	case "application/json", "text/json", "application/x-json", "application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/x-jsonlines", "application/json-lines", "application/json-seq", "application/stream+json":
		return true
	}
	return strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+json-seq")
}

func isText(t string) bool {
	switch t {
	case "application/xml", "application/javascript", "application/jwt", "application/yaml", "application/toml", "application/graphql":
		return true
	}
	return strings.HasPrefix(t, "text/") || strings.HasPrefix(t, "multipart/") || strings.HasSuffix(t, "+xml") ||
		strings.HasSuffix(t, "+jwt") || strings.HasSuffix(t, "+yaml")
}

// body returns the filter for a content type. What is declared to be JSON must
// be JSON; what is not declared to be, but looks like it, too.
func (r *Redactor) body(contentType string) filter {
	t := mediaType(contentType)
	return func(dst io.Writer, src io.Reader) error {
		head, src, err := peek(src)
		switch {
		case err != nil:
			return err
		case len(head) == 0:
			return nil
		case isJSON(t):
			return r.JSON(dst, src)
		case t == "application/x-www-form-urlencoded":
			return r.form(dst, src)
		case t == "text/event-stream":
			return r.events(dst, src)
		case binary(t):
			_, err := io.Copy(dst, src)
			return err
		case looksJSON(head):
			return r.JSON(dst, src)
		case isText(t), strings.HasPrefix(http.DetectContentType(head), "text/"):
			return r.lines(dst, src)
		}
		_, err = io.Copy(onlyWriter{dst}, src)
		return err
	}
}

// onlyWriter keeps io.Copy from handing the source to the writer.
type onlyWriter struct{ io.Writer }

// peek reads until there is something to tell the kind of text by.
func peek(src io.Reader) (head []byte, again io.Reader, err error) {
	head = make([]byte, 0, 512)
	for len(head) < cap(head) && len(bytes.TrimSpace(head)) < 2 {
		n, err := src.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if errors.Is(err, io.EOF) {
			return head, bytes.NewReader(head), nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return head, io.MultiReader(bytes.NewReader(head), src), nil
}

// form masks a form (application/x-www-form-urlencoded).
func (r *Redactor) form(dst io.Writer, src io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(src, r.max+1))
	if err != nil {
		return err
	}
	if int64(len(b)) > r.max {
		return fmt.Errorf("%w: form", ErrTooLarge)
	}
	_, err = io.WriteString(dst, r.query(string(b)))
	return err
}

// lines masks text as it comes. Held back is the last word, and whatever begins
// like a credential and has not come to its end.
func (r *Redactor) lines(dst io.Writer, src io.Reader) error {
	chunk := make([]byte, 32<<10)
	var held []byte
	for {
		n, err := src.Read(chunk)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		held = append(held, chunk[:n]...)
		out, hold, changed := r.scan(nil, string(held), err == nil)
		if !changed {
			out = held[:hold]
		}
		if len(out) > 0 {
			if _, err := dst.Write(out); err != nil {
				return err
			}
		}
		held = held[:copy(held, held[hold:])]
		if err != nil {
			return nil
		}
		if int64(len(held)) > r.max+maxWord {
			return fmt.Errorf("%w: a credential in text", ErrTooLarge)
		}
	}
}

// gunzip puts f behind the decoding of gzip (RFC 1952).
func gunzip(f filter) filter {
	return func(dst io.Writer, src io.Reader) error {
		head, src, err := peek(src)
		if err != nil || len(head) == 0 {
			return err
		}
		z, err := gzip.NewReader(src)
		if err != nil {
			return fmt.Errorf("%w: gzip", ErrInvalid)
		}
		return f(dst, &gzipErrors{z})
	}
}

// gzipErrors tells damaged gzip from the errors of the source.
type gzipErrors struct{ z *gzip.Reader }

func (g *gzipErrors) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || corrupt(err) {
		err = fmt.Errorf("%w: gzip", ErrInvalid)
	}
	return n, err
}
