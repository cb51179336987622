package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Put keeps t as the grant id of owner. A grant that the owner has under this
// id is replaced, whatever its state, and a refresh of it in flight is
// overtaken; another owner's is an error. id and owner are UTF-8 without NUL,
// up to 512 bytes each. t's extra fields id_token, scope and
// refresh_expires_in are kept; without a scope it is taken to hold those that
// the provider requests. A token that has expired and has no refresh token is
// ErrReauthorize.
func (v *Vault) Put(ctx context.Context, id, owner, provider string, t *oauth2.Token) error {
	p, err := v.checkPut(id, owner, provider)
	if err != nil {
		return err
	}
	if t == nil {
		return errors.New("vault: token is nil")
	}
	g, now := newGrant(id, owner, p), v.now()
	g.Access, g.TokenType, g.Refresh = t.AccessToken, t.TokenType, t.RefreshToken
	g.AccessExpires = microseconds(t.Expiry)
	if t.Expiry.IsZero() && t.ExpiresIn > 0 {
		g.AccessExpires = microseconds(now.Add(time.Duration(parseSeconds(fmt.Sprint(t.ExpiresIn)))))
	}
	g.IDToken, _ = t.Extra("id_token").(string)
	scope, _ := t.Extra("scope").(string)
	if g.Scopes = strings.Fields(scope); len(g.Scopes) == 0 {
		g.Scopes = p.scopes
	}
	g.extend(now, extraSeconds(t.Extra("refresh_expires_in")), p.lifetime)
	if g.expiredAt(now) && g.Refresh == "" {
		return fmt.Errorf("%w: the token has expired and has no refresh token", ErrReauthorize)
	}
	v.noteScopes(ctx, g, p)
	if err := p.accepts(g); err != nil {
		return err
	}
	return v.put(ctx, g)
}

// extraSeconds reads a lifetime out of what x/oauth2 or a caller put there.
func extraSeconds(extra any) time.Duration {
	switch n := extra.(type) {
	case float64, int, int64, json.Number, string:
		return time.Duration(parseSeconds(fmt.Sprint(n)))
	}
	return 0
}

// checkPut judges the arguments that Put and Exchange share.
func (v *Vault) checkPut(id, owner, provider string) (*provider, error) {
	if err := checkKey(id, owner); err != nil {
		return nil, err
	}
	p := v.providers[provider]
	switch {
	case p == nil:
		return nil, errors.New("vault: no such provider")
	case owner == "" && !p.clientCredentials:
		return nil, errors.New("vault: owner is empty")
	}
	return p, nil
}

// put writes g over whatever its owner has under its id.
func (v *Vault) put(ctx context.Context, g *grant) error {
	for {
		row, err := v.replaceable(ctx, g.ID, g.Owner)
		if err != nil {
			return err
		}
		g.Generation = row.Generation + 1
		blob, err := v.seal(ctx, g)
		if err != nil {
			return err
		}
		ok, err := v.store.Swap(ctx, g.row(row, Active, blob))
		if err != nil {
			return storeFailed("write the grant", err)
		}
		if ok {
			return nil
		}
	}
}

// replaceable returns the row that owner may replace; the zero Row if there is
// none.
func (v *Vault) replaceable(ctx context.Context, id, owner string) (Row, error) {
	row, err := v.store.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Row{}, nil
	case err != nil:
		return Row{}, storeFailed("read the grant", err)
	case row.Owner != owner:
		return Row{}, errOwner
	}
	return row, nil
}

// noteScopes reports a scope that was not requested.
func (v *Vault) noteScopes(ctx context.Context, g *grant, p *provider) {
	if g.excess(p) {
		v.observe(ctx, Event{Kind: "scopes", ID: g.ID, Provider: p.name, Generation: g.Generation})
	}
}

// Exchange redeems an authorization code as the provider's client (RFC 6749
// section 4.1.3) and keeps the grant as Put does. opts are those of
// oauth2.Config.Exchange: oauth2.VerifierOption for PKCE, for instance. Another
// owner's id, and a store that cannot be read, are found before the code is
// sent. A code that the server refuses, or may have redeemed without an answer,
// is ErrReauthorize. It is sent again, once, only if a connection kept from an
// earlier request ended under it.
func (v *Vault) Exchange(ctx context.Context, id, owner, provider, code string, opts ...oauth2.AuthCodeOption) error {
	_, err := v.Redeem(ctx, id, owner, provider, code, opts...)
	return err
}

// Redeem is Exchange for a proxy that stands between an application and the
// authorization server: it returns the server's answer too, also when that is
// an error, for the proxy to redact and to pass on. Without an answer its
// Status is 0. Errors are those of Exchange.
func (v *Vault) Redeem(ctx context.Context, id, owner, provider, code string, opts ...oauth2.AuthCodeOption) (Answer, error) {
	p, err := v.checkPut(id, owner, provider)
	if err != nil {
		return Answer{}, err
	}
	if code == "" {
		return Answer{}, errors.New("vault: code is empty")
	}
	if err := v.begin(); err != nil {
		return Answer{}, err
	}
	defer v.work.Done()
	if _, err := v.replaceable(ctx, id, owner); err != nil {
		return Answer{}, err
	}
	began := time.Now()
	g, r, err := v.redeem(ctx, newGrant(id, owner, p), p, exchangeForm(p, code, opts))
	if err == nil {
		err = v.keepExchanged(ctx, g, p)
	}
	v.observe(ctx, Event{
		Kind: "exchange", ID: id, Provider: p.name, Host: hostOf(p.tokenURL), Duration: time.Since(began), Err: err,
	})
	return Answer{r.status, r.body}, err
}

// exchangeForm gets at what opts hold the only way x/oauth2 offers.
func exchangeForm(p *provider, code string, opts []oauth2.AuthCodeOption) url.Values {
	form := url.Values{}
	u, err := url.Parse(new(oauth2.Config).AuthCodeURL("", opts...))
	if err == nil {
		form = u.Query()
	}
	form.Del("response_type")
	form.Del("client_id")
	if p.redirectURL != "" && !form.Has("redirect_uri") {
		form.Set("redirect_uri", p.redirectURL)
	}
	form.Set("grant_type", "authorization_code")
	form.Set("code", code)
	return form
}

func (v *Vault) redeem(ctx context.Context, g *grant, p *provider, form url.Values) (*grant, reply, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timing.HTTP)
	defer cancel()
	now := v.now()
	r, failed := p.post(ctx, p.tokenURL, form)
	if failed != nil && failed.kept {
		// The server ended an idle connection just then. Had it redeemed the code, it
		// refuses it now and revokes what it issued (RFC 6749 section 4.1.2).
		r, failed = p.post(ctx, p.tokenURL, form)
	}
	switch o := judge(r, failed, v.now()); o.verdict {
	case granted:
		g.Scopes = slices.Clone(p.scopes)
		return g.next(o.answer, now, p), r, nil
	case refused:
		return nil, r, o.err(o.after)
	default:
		return nil, r, &retryError{ErrReauthorize, o.reason, 0, o.cause}
	}
}

// keepExchanged saves what a code was redeemed for. The code is spent, so the
// caller's leaving does not stop it; what cannot be kept is revoked.
func (v *Vault) keepExchanged(ctx context.Context, g *grant, p *provider) error {
	v.noteScopes(ctx, g, p)
	err := p.accepts(g)
	if err == nil {
		saving, cancel := v.detached(ctx, v.timing.Save)
		defer cancel()
		err = v.put(saving, g)
		for errors.Is(err, ErrUnavailable) && sleep(saving, between(v.timing.PollMin, v.timing.PollMax)) {
			err = v.put(saving, g)
		}
	}
	if err != nil {
		revoking, cancel := v.detached(ctx, v.timing.HTTP)
		defer cancel()
		_ = v.revokeTokens(revoking, g, p)
	}
	return err
}
