package authserver

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Login does what a person with a browser does at authorizationURL: logs in as
// user, consents, and follows the redirects until one leaves the server. That
// address, with its code and state, is returned and not requested. Client
// supplies the transport (nil: the default one); its cookies are not used.
func (s *Server) Login(ctx context.Context, client *http.Client, authorizationURL, user string) (*url.URL, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	b := browser{issuer: s.Issuer, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if client != nil {
		b.client.Transport = client.Transport
	}
	next, form := authorizationURL, url.Values(nil)
	for range 20 {
		target, page, err := b.open(ctx, next, form)
		if err != nil {
			return nil, err
		}
		switch {
		case target != nil && !strings.HasPrefix(target.String(), s.Issuer+"/"):
			return target, nil
		case target != nil:
			next, form = target.String(), nil
		default:
			if next, form, err = fill(page, user); err != nil {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("authserver: login does not end")
}

type browser struct {
	issuer string
	client *http.Client
}

// open requests address, by POST when there is a form, and returns where it
// redirects to or the page it shows.
func (b browser) open(ctx context.Context, address string, form url.Values) (*url.URL, string, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, "", fmt.Errorf("authserver: %w", err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("authserver: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, "", fmt.Errorf("authserver: %w", err)
	}
	if target, err := res.Location(); err == nil {
		return target, "", nil
	}
	if res.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("authserver: %s %s: %s", method, req.URL.Path, res.Status)
	}
	return nil, string(page), nil
}

var (
	formAction = regexp.MustCompile(`(?i)<form[^>]*\saction="([^"]*)"`)
	formInput  = regexp.MustCompile(`(?i)<input[^>]*>`)
	inputName  = regexp.MustCompile(`(?i)\sname="([^"]*)"`)
	inputValue = regexp.MustCompile(`(?i)\svalue="([^"]*)"`)
)

// fill returns the page's form, with user and any password typed in.
func fill(page, user string) (action string, form url.Values, err error) {
	found := formAction.FindStringSubmatch(page)
	if found == nil {
		return "", nil, fmt.Errorf("authserver: a page without a form")
	}
	form = url.Values{}
	for _, input := range formInput.FindAllString(page, -1) {
		switch name := attribute(inputName, input); name {
		case "":
		case "login":
			form.Set(name, user)
		case "password":
			form.Set(name, "any")
		default:
			form.Set(name, attribute(inputValue, input))
		}
	}
	return html.UnescapeString(found[1]), form, nil
}

func attribute(re *regexp.Regexp, tag string) string {
	if found := re.FindStringSubmatch(tag); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}
