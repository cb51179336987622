package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

const (
	purpose  = "tv-grant" // tokenvault.Label.Purpose: a row is never a bearer token
	schema   = 1          // of the sealed JSON
	maxGrant = 64 << 10   // a sealed plaintext's limit
)

// grant is what is sealed into a row's Blob: the tokens, and what binds them
// to their row, owner and provider.
type grant struct {
	Schema        int       `json:"v"`
	ID            string    `json:"id"`
	Owner         string    `json:"owner"`
	Provider      string    `json:"provider"`
	TokenURL      string    `json:"token_url"`
	ClientID      string    `json:"client_id"`
	Generation    int64     `json:"generation"`
	Expires       time.Time `json:"expires"`          // of the grant
	Access        string    `json:"access,omitempty"` // the access token
	TokenType     string    `json:"token_type,omitempty"`
	Refresh       string    `json:"refresh,omitempty"` // the refresh token
	IDToken       string    `json:"id_token,omitempty"`
	Scopes        []string  `json:"scopes,omitempty"`
	AccessExpires time.Time `json:"access_expires,omitzero"` // zero: the server did not say
	Issued        time.Time `json:"issued,omitzero"`         // zero: not known
}

// newGrant returns a grant without tokens, of no generation yet.
func newGrant(id, owner string, p *provider) *grant {
	return &grant{Schema: schema, ID: id, Owner: owner, Provider: p.name, TokenURL: p.tokenURL, ClientID: p.clientID}
}

// expiredAt reports whether the access token can no longer be used.
func (g *grant) expiredAt(now time.Time) bool {
	return g.Access == "" || !g.AccessExpires.IsZero() && !now.Before(g.AccessExpires)
}

// dueAt reports whether the access token, still good, should be renewed. A
// server whose tokens live shorter than twice before is not asked at each use.
func (g *grant) dueAt(now time.Time, before time.Duration) bool {
	if g.AccessExpires.IsZero() {
		return false
	}
	if !g.Issued.IsZero() {
		before = min(before, g.AccessExpires.Sub(g.Issued)/2)
	}
	return !now.Before(g.AccessExpires.Add(-before))
}

// extend sets how long the grant is kept: stated is the server's
// refresh_expires_in, 0 if it gave none.
func (g *grant) extend(now time.Time, stated, lifetime time.Duration) {
	if stated <= 0 {
		stated = lifetime
	}
	g.Expires = microseconds(now.Add(stated))
	if g.AccessExpires.After(g.Expires) {
		g.Expires = g.AccessExpires
	}
}

// excess reports whether g holds a scope that p does not request.
func (g *grant) excess(p *provider) bool {
	return len(p.scopes) > 0 && slices.ContainsFunc(g.Scopes, func(s string) bool { return !slices.Contains(p.scopes, s) })
}

// token returns g as x/oauth2 has it. Its JSON form drops id_token and scope,
// which is why they are no part of oauth2.Token alone here.
func (g *grant) token() *oauth2.Token {
	t := &oauth2.Token{AccessToken: g.Access, TokenType: g.TokenType, RefreshToken: g.Refresh, Expiry: g.AccessExpires}
	extra := map[string]any{"scope": strings.Join(g.Scopes, " ")}
	if g.IDToken != "" {
		extra["id_token"] = g.IDToken
	}
	return t.WithExtra(extra)
}

// withoutTokens is what a completed revocation leaves.
func (g *grant) withoutTokens() *grant {
	c := *g
	c.Access, c.Refresh, c.IDToken = "", "", ""
	return &c
}

func (g *grant) hasTokens() bool { return g.Access != "" || g.Refresh != "" }

// row returns the row that saves g over the state old: the lease has ended and
// nothing is left of earlier failures.
func (g *grant) row(old Row, state State, blob string) Row {
	return Row{
		ID: g.ID, Owner: g.Owner, Revision: old.Revision, Generation: g.Generation, State: state, Blob: blob,
		AccessExpires: g.AccessExpires, Expires: g.Expires,
	}
}

// seal returns g sealed, having seen that it opens: a keyring whose first key
// is a public one seals what the vault would never accept.
func (v *Vault) seal(ctx context.Context, g *grant) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(g); err != nil {
		return "", errors.New("vault: the grant cannot be encoded")
	}
	plaintext := b.Bytes()
	defer clear(plaintext)
	if len(plaintext) > maxGrant {
		return "", errTooLarge
	}
	blob, err := v.sealer.Seal(ctx, plaintext, tokenvault.Label{Subject: g.Owner, Purpose: purpose})
	if err != nil {
		return "", fmt.Errorf("vault: seal grant: %w", err)
	}
	if _, err := v.unseal(ctx, blob, g.Owner); err != nil {
		return "", fmt.Errorf("vault: the sealer does not open what it seals: %w", err)
	}
	return blob, nil
}

func (v *Vault) unseal(ctx context.Context, blob, owner string) (*grant, error) {
	plaintext, label, err := v.sealer.Open(ctx, blob, tokenvault.Use{Subject: owner, Purpose: purpose})
	if err != nil {
		return nil, fmt.Errorf("vault: open grant: %w", err)
	}
	defer clear(plaintext)
	g := new(grant)
	if err := json.Unmarshal(plaintext, g); err != nil {
		return nil, fmt.Errorf("vault: open grant: %w", tokenvault.ErrMalformed)
	}
	switch {
	case g.Schema > schema:
		return nil, errors.New("vault: the grant was written by a newer version of this package")
	case g.Owner != owner || label.Subject != owner:
		return nil, errOwner
	}
	return g, nil
}

// open returns the grant sealed in row after checking what binds it there.
func (v *Vault) open(ctx context.Context, row Row) (*grant, error) {
	g, err := v.unseal(ctx, row.Blob, row.Owner)
	switch {
	case err != nil:
		return nil, err
	case g.ID != row.ID:
		return nil, errCopied
	case g.Generation != row.Generation:
		return nil, errGeneration
	}
	return g, nil
}

// provider returns the provider of g as it is configured now. A grant is of no
// use to a provider of the same name with another token URL or client id: its
// refresh token must not go there.
func (v *Vault) provider(g *grant) (*provider, error) {
	p := v.providers[g.Provider]
	if p == nil || p.tokenURL != g.TokenURL || p.clientID != g.ClientID {
		return nil, errProvider
	}
	return p, nil
}
