package phantom

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
)

// A client asks the introspection endpoint (RFC 7662 section 2.1).
type client struct {
	http     *http.Client
	own      *http.Transport // to close, if the http.Client is ours
	endpoint string
	host     string
	accept   string
	auth     clientauth.Method
	now      func() time.Time
	observe  func(context.Context, Event)
}

func newClient(c *Config) *client {
	cl := &client{
		endpoint: c.Endpoint, accept: acceptHeader(c.Accept), auth: c.Auth, now: c.Now, observe: c.Observe,
	}
	if u, err := url.Parse(c.Endpoint); err == nil {
		cl.host = u.Host
	}
	if c.Client != nil {
		copied := *c.Client
		cl.http = &copied
	} else {
		cl.own = newTransport(c.MaxInFlight)
		cl.http = &http.Client{Transport: cl.own}
	}
	// A redirect would take the token, and our authentication, elsewhere.
	cl.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return cl
}

// newTransport keeps as many connections as there can be requests; the default
// of two would close and open them all the time.
func newTransport(conns int) *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	}
	t = t.Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = conns, conns
	return t
}

// acceptHeader lists the formats with falling weights: order alone means nothing
// in an Accept header (RFC 9110 section 12.5.1).
func acceptHeader(formats []Format) string {
	parts := make([]string, len(formats))
	for i, f := range formats {
		parts[i] = string(f)
		if i > 0 {
			parts[i] += ";q=0." + strconv.Itoa(10-i)
		}
	}
	return strings.Join(parts, ", ")
}

// A reply is a successful HTTP response, read.
type reply struct {
	empty  bool // 204
	format Format
	header http.Header
	body   []byte
}

// pauseBeforeRetry lets a server that is being replaced come back.
const pauseBeforeRetry = 50 * time.Millisecond

// ask asks once, and once more if the server could not be reached or failed.
func (c *client) ask(ctx context.Context, token string) (reply, error) {
	r, again, err := c.try(ctx, token)
	if !again {
		return r, err
	}
	pause := time.NewTimer(pauseBeforeRetry)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return reply{}, ended(ctx)
	}
	r, _, err = c.try(ctx, token)
	return r, err
}

func (c *client) try(ctx context.Context, token string) (r reply, again bool, err error) {
	if c.observe != nil {
		start := time.Now()
		defer func() {
			c.observe(ctx, Event{Kind: "introspect", Host: c.host, Duration: time.Since(start), Err: sentinel(err)})
		}()
	}
	req, err := c.request(ctx, token)
	if err != nil {
		return reply{}, false, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if timedOut(ctx, err) {
			return reply{}, false, ended(ctx)
		}
		return reply{}, true, errReach
	}
	defer resp.Body.Close()
	if again, err := c.judgeStatus(resp); err != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		return reply{}, again, err
	}
	r, err = read(ctx, resp)
	return r, false, err
}

// request is made anew for each attempt: an assertion's jti must not be seen
// twice (RFC 7523 section 3).
func (c *client) request(ctx context.Context, token string) (*http.Request, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	header, err := c.authenticate(ctx, form)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, unusable("cannot make the request")
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	header.Set("Accept", c.accept)
	req.Header = header
	return req, nil
}

func (c *client) authenticate(ctx context.Context, form url.Values) (http.Header, error) {
	header := http.Header{}
	if c.auth(ctx, c.endpoint, header, form) != nil {
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		return nil, unusable("the client cannot authenticate")
	}
	return header, nil
}

// identity is our client id as the server sees it, empty if it sees a bearer
// token. It is found in what Auth adds to a request.
func (c *client) identity(ctx context.Context) (string, error) {
	form := url.Values{}
	header, err := c.authenticate(ctx, form)
	if err != nil {
		return "", err
	}
	if id := form.Get("client_id"); id != "" {
		return id, nil
	}
	id, _, _ := (&http.Request{Header: header}).BasicAuth()
	return id, nil
}

func timedOut(ctx context.Context, err error) bool {
	var timeout net.Error
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// judgeStatus reports what is wrong with the status, and whether to ask again.
func (c *client) judgeStatus(resp *http.Response) (again bool, err error) {
	switch code := resp.StatusCode; {
	case code == http.StatusOK || code == http.StatusNoContent:
		return false, nil
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return false, &unavailable{
			detail: "status " + strconv.Itoa(code), status: http.StatusServiceUnavailable,
			after: retryAfter(resp.Header, c.now()),
		}
	case code >= 500:
		return true, &unavailable{detail: "status " + strconv.Itoa(code), status: http.StatusBadGateway}
	default: // 401 and 403 are about us, not about the token
		return false, unusable("status " + strconv.Itoa(code))
	}
}

func read(ctx context.Context, resp *http.Response) (reply, error) {
	if resp.StatusCode == http.StatusNoContent {
		return reply{empty: true, header: resp.Header}, nil
	}
	types := resp.Header.Values("Content-Type")
	if len(types) != 1 {
		return reply{}, unusable("not one Content-Type")
	}
	mediaType, _, err := mime.ParseMediaType(types[0])
	if err != nil {
		return reply{}, unusable("bad Content-Type")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil && timedOut(ctx, err):
		return reply{}, ended(ctx)
	case err != nil:
		return reply{}, unusable("cut short")
	case len(body) > maxAnswer:
		return reply{}, unusable("too large")
	}
	return reply{format: Format(mediaType), header: resp.Header, body: body}, nil
}

func (c *client) close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}
