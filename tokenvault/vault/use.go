package vault

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// Refresh renews the grant now, whatever its expiry, for instance after the
// resource server answered 401. It joins a refresh under way; of any number of
// calls on one generation, in any number of processes, one is sent. Its errors
// are those of the package comment.
func (v *Vault) Refresh(ctx context.Context, id, owner string) error {
	h, err := v.load(ctx, id, owner)
	if err != nil {
		return err
	}
	_, err = v.renewed(ctx, id, owner, h.grant.Generation)
	return err
}

// Refused is Refresh for whom a resource server answered 401 to accessToken: a
// grant that has moved on since is not renewed again.
func (v *Vault) Refused(ctx context.Context, id, owner, accessToken string) error {
	h, err := v.load(ctx, id, owner)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(h.grant.Access), []byte(accessToken)) != 1 {
		return nil
	}
	_, err = v.renewed(ctx, id, owner, h.grant.Generation)
	return err
}

// Reveal returns the grant in plaintext, renewed if its access token has
// expired, with the extra fields id_token and scope. It is for what can use
// neither Transport nor TokenSource. Who spends the refresh token elsewhere
// breaks the promise of this package. Its errors are those of the package
// comment.
func (v *Vault) Reveal(ctx context.Context, id, owner string) (*oauth2.Token, error) {
	g, _, err := v.fresh(ctx, id, owner)
	if err != nil {
		return nil, err
	}
	return g.token(), nil
}

// IDToken returns the ID token that came with the grant, in plaintext, for the
// id_token_hint of a logout. It is served also when the grant is dead, but not
// once it is revoked. Without one: fs.ErrNotExist.
func (v *Vault) IDToken(ctx context.Context, id, owner string) (string, error) {
	row, err := v.owned(ctx, id, owner)
	if err != nil {
		return "", err
	}
	if row.State == Revoked {
		return "", fmt.Errorf("%w: the grant is revoked", ErrReauthorize)
	}
	g, err := v.open(ctx, row)
	if err != nil {
		return "", err
	}
	if g.IDToken == "" {
		return "", fmt.Errorf("vault: the grant has no ID token: %w", fs.ErrNotExist)
	}
	return g.IDToken, nil
}

// TokenSource returns a source of sealed access tokens for the provider's
// hosts, with owner as their subject, that expire with what is inside. They
// work through a relay, by way of oauth2.Transport or a vendor's SDK. ctx
// bounds every call of Token. There is never a refresh token in them.
func (v *Vault) TokenSource(ctx context.Context, id, owner string) oauth2.TokenSource {
	return &tokenSource{v, ctx, id, owner}
}

type tokenSource struct {
	vault     *Vault
	ctx       context.Context
	id, owner string
}

func (s *tokenSource) Token() (*oauth2.Token, error) {
	g, p, err := s.vault.fresh(s.ctx, s.id, s.owner)
	if err != nil {
		return nil, err
	}
	label := tokenvault.Label{Hosts: p.hostNames, Subject: s.owner}
	if !g.AccessExpires.IsZero() {
		// A label counts whole seconds: the last one begun still counts.
		label.Expires = g.AccessExpires.Add(time.Second - time.Nanosecond).Truncate(time.Second)
	}
	sealed, err := s.vault.sealer.Seal(s.ctx, []byte(g.Access), label)
	if err != nil {
		return nil, fmt.Errorf("vault: seal access token: %w", err)
	}
	return &oauth2.Token{AccessToken: sealed, TokenType: "Bearer", Expiry: g.AccessExpires}, nil
}
