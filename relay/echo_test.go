package relay

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

const odd = "tok/en+with \"odd\" \\ bytes ? & é\u65e5\U0001F511 %41"

func TestElsewhere_PlaintextInLocation(t *testing.T) {
	t.Parallel()
	for _, length := range []bool{true, false} {
		r := newRig(t, Destination{Host: host, Open: []string{"header:Authorization", "query:k"}})
		r.answer = func(w http.ResponseWriter, req *http.Request) {
			token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
			h := w.Header()
			h.Set("Location", "/x?t="+url.QueryEscape(token))
			h.Add("X-Echo", "a "+token)
			h.Add("X-Echo", token+" b "+token)
			h.Set("Set-Cookie", "t="+base64.StdEncoding.EncodeToString([]byte(token)))
			h.Set("ETag", `"x"`)
			text := fmt.Sprintf(`{"raw":%q,"q":"%s"}`, token, url.QueryEscape(req.URL.Query().Get("k")))
			for _, c := range text {
				_, _ = io.WriteString(w, string(c))
				if !length {
					w.(http.Flusher).Flush()
				}
			}
		}
		sealed, sealedQuery := r.seal(secret), r.seal(odd)
		req := newRequest(t, "GET", "https://"+host+"/?k="+sealedQuery, "", "")
		req.Header.Set("Authorization", "Bearer "+sealed)
		resp, body, err := r.do(req)
		require.NoError(t, err)
		require.Equal(t, `{"raw":"`+sealed+`","q":"`+sealedQuery+`"}`, body)
		require.Equal(t, "/x?t="+sealed, resp.Header.Get("Location"))
		require.Equal(t, []string{"a " + sealed, sealed + " b " + sealed}, resp.Header.Values("X-Echo"))
		require.Equal(t, "t="+sealed, resp.Header.Get("Set-Cookie"))
		require.Empty(t, resp.Header.Get("ETag"))
		if length {
			require.EqualValues(t, len(body), resp.ContentLength)
			require.Equal(t, fmt.Sprint(len(body)), resp.Header.Get("Content-Length"))
		}
		all := fmt.Sprint(resp.Header) + body
		leaktest.None(t, []byte(all), secret, odd)
	}
}

func TestBasicEcho(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.Header.Get("Authorization"))
		_, pass, _ := req.BasicAuth()
		_, _ = io.WriteString(w, " "+pass)
	}
	sealed := r.seal(secret)
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.SetBasicAuth("user", sealed)
	_, body, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, req.Header.Get("Authorization")+" "+sealed, body)
}

func TestJSONLabelEcho(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"json:$.*"}})
	r.answer = func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) }
	object := r.sealAs(`{"a":"long enough"}`, tokenvault.Label{Hosts: []string{host}, JSON: true})
	text := r.sealAs(`"long \u0065nough, too"`, tokenvault.Label{Hosts: []string{host}, JSON: true})
	number := r.sealAs(`123456789012`, tokenvault.Label{Hosts: []string{host}, JSON: true})
	sent := `{"o":"` + object + `","t":"` + text + `","n":"` + number + `"}`
	_, body, err := r.do(newRequest(t, "POST", "https://"+host+"/", "application/json", sent))
	require.NoError(t, err)
	require.Equal(t, strings.Replace(sent, `"`+number+`"`, "123456789012", 1), body, "still JSON")
}

func TestInsecureEcho(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, InsecureEcho: true})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.Header.Get("Authorization"))
	}
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+r.seal(secret))
	_, body, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, "Bearer "+secret, body)
}

// A sealed field is not scrubbed first, and what is echoed beside it is.
func TestSealAndEcho(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{config: Config{Destinations: []Destination{{Host: host, Open: []string{"form:refresh_token"}, Seal: []Field{{At: "$.refresh_token"}}}}}})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"refresh_token":%q,"you_sent":%q}`, req.FormValue("refresh_token"), req.FormValue("refresh_token"))
	}
	sealed := r.seal(secret)
	_, body, err := r.do(newRequest(t, "POST", "https://"+host+"/", formType, "refresh_token="+sealed))
	require.NoError(t, err)
	found := sealedIn(body)
	require.Len(t, found, 2)
	require.NotEqual(t, sealed, found[0])
	require.Equal(t, secret, r.open(found[0], host, ""))
	require.Equal(t, sealed, found[1])
}

// Events reach the caller when the upstream sends them, scrubbed.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	r := newRig(t, Destination{Host: host})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		token := req.Header.Get("Authorization")
		for _, s := range []string{"data: a\n\n", "data: " + token[:15], token[15:] + "\n\n", "data: b\n\n"} {
			_, _ = io.WriteString(w, s)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-req.Context().Done():
				return
			}
		}
	}
	sealed := r.seal(secret)
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+sealed)
	resp, err := r.relay.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	read := func(want string) {
		b := make([]byte, len(want))
		_, err := io.ReadFull(resp.Body, b)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
	read("data: a\n\n")
	next <- struct{}{}
	read("data: Bearer ")
	next <- struct{}{}
	read(sealed + "\n\n")
	next <- struct{}{}
	read("data: b\n\n")
	next <- struct{}{}
}

// An upgraded connection goes both ways, and is scrubbed on its way back.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line + req.Header.Get("Authorization") + "\n")
		_ = rw.Flush()
	}
	sealed := r.seal(secret)
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+sealed)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := r.relay.RoundTrip(req)
	require.NoError(t, err)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello\nBearer "+sealed+"\n", string(got))
	require.NoError(t, conn.Close())
}

// An interim answer is scrubbed, too.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Link", "<"+req.Header.Get("Authorization")+">")
		w.WriteHeader(http.StatusEarlyHints)
	}
	sealed := r.seal(secret)
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+sealed)
	var hints []string
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = append(hints, h.Get("Link"))
		return nil
	}}))
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, []string{"<Bearer " + sealed + ">"}, hints)
}

// A field that is sealed has no place in an interim answer, which ReverseProxy,
// for one, hands on at once.
func TestEarlyHintsHoldNoSealedField(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Seal: []Field{{At: "header:X-Token"}}})
	r.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.Header().Set("X-Token", secret)
		w.WriteHeader(http.StatusEarlyHints)
	}
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	var hints []textproto.MIMEHeader
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = append(hints, h)
		return nil
	}}))
	resp, _, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, []textproto.MIMEHeader{{"Link": {"</style.css>"}}}, hints)
	require.Equal(t, secret, r.open(resp.Header.Get("X-Token"), host, ""))
}

func TestEchoInsideGzip(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, gzipped("you are "+req.Header.Get("Authorization")))
	}
	sealed := r.seal(secret)
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+sealed)
	req.Header.Set("Accept-Encoding", "gzip, zstd")
	resp, body, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, "you are Bearer "+sealed, body)
	require.Empty(t, resp.Header.Get("Content-Encoding"))
	require.Equal(t, "gzip", r.only().Header.Get("Accept-Encoding"))
}
