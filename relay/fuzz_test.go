package relay

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Whatever the body: a plaintext that leaves in it stands, for a reader of the
// standard library, in a field named k.
func FuzzBody(f *testing.F) {
	for _, kind := range []string{"application/json", formType, partType, "multipart/mixed; boundary=\"b b\"", "text/plain", ""} {
		for _, body := range []string{
			`{"k":"%s"}`, `{"k":"%s","x":"%s"}`, `[{"k":"%s"}]`, `{"k":"\u0074v1"}%s`, "k=%s&x=1", "x=%s&k=%s", "k=%s;x", "%s",
			partBody("%s", "x"), partBody("x", "%s"), strings.ReplaceAll(partBody("%s", "x"), "\r\n", "\n"),
		} {
			f.Add(kind, body)
		}
	}
	var sent []byte
	r := newRigWith(f, rigConfig{config: Config{
		Base: roundTripFunc(func(req *http.Request) (*http.Response, error) {
			sent = nil
			if req.Body != nil {
				sent, _ = io.ReadAll(req.Body)
			}
			return &http.Response{StatusCode: 204, Body: http.NoBody, Header: http.Header{}}, nil
		}),
		Destinations: []Destination{{Host: host, Open: []string{"json:$..k", "form:k", "multipart:k"}}},
	}})
	sealed := r.seal(secret)
	f.Fuzz(func(t *testing.T, contentType, template string) {
		if strings.Contains(template, secret) {
			return
		}
		sent = nil
		req := newRequest(t, "POST", "https://"+host+"/", contentType, strings.ReplaceAll(template, "%s", sealed))
		resp, err := r.relay.RoundTrip(req)
		if err != nil {
			if sent != nil {
				t.Fatal("refused, and sent")
			}
			return
		}
		_ = resp.Body.Close()
		if n := bytes.Count(sent, []byte(secret)); n != fieldsK(contentType, sent) {
			t.Fatalf("%d plaintexts in %q (%s)", n, sent, contentType)
		}
		if holdsBytes(sent) {
			t.Fatalf("a sealed value in %q", sent)
		}
	})
}

// fieldsK counts the fields k that are the secret.
func fieldsK(contentType string, body []byte) (n int) {
	media, params, _ := mime.ParseMediaType(contentType)
	switch kindOf(media) {
	case kindJSON:
		d := json.NewDecoder(bytes.NewReader(body))
		for {
			var v any
			if d.Decode(&v) != nil {
				return n
			}
			n += countK(v)
		}
	case kindForm:
		values, _ := url.ParseQuery(string(body))
		for _, v := range values["k"] {
			if v == secret {
				n++
			}
		}
	case kindMultipart:
		r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for {
			p, err := r.NextRawPart()
			if err != nil {
				return n
			}
			if b, _ := io.ReadAll(p); p.FormName() == "k" && string(b) == secret {
				n++
			}
		}
	}
	return n
}

func countK(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name == "k" && value == any(secret) {
				n++
			} else {
				n += countK(value)
			}
		}
	case []any:
		for _, value := range v {
			n += countK(value)
		}
	}
	return n
}
