package jwks

import (
	"slices"
	"strings"
	"time"
)

var (
	errNoExpiry    = refuse(ErrExpired, "exp is missing")
	errNoIssuedAt  = refuse(ErrExpired, "iat is missing")
	errTooOld      = refuse(ErrExpired, "iat is longer ago than MaxAge")
	errTooLongLife = refuse(ErrExpired, "exp - iat is over MaxLifetime")
	errIssuedAhead = refuse(ErrNotYet, "iat is in the future")
	errNoAudience  = refuse(ErrAudience, "aud is missing")
	errScopeGrant  = refuse(ErrScope, "the issuer may not grant a scope of the token")
)

// judge applies the issuer's rules to claims whose signature is good. A cached
// token comes by here each time it is used.
func (i *issuer) judge(c *claims, now time.Time, leeway time.Duration) error {
	if err := i.judgeTime(c, now, leeway); err != nil {
		return err
	}
	if !i.InsecureAnyAudience && !slices.ContainsFunc(c.audience, i.accepts) {
		if c.audience == nil {
			return errNoAudience
		}
		return ErrAudience
	}
	if len(i.Scopes) > 0 {
		for _, s := range c.scopes {
			if !slices.Contains(i.Scopes, s) {
				return errScopeGrant
			}
		}
	}
	return nil
}

func (i *issuer) accepts(audience string) bool { return slices.Contains(i.Audience, audience) }

// judgeTime follows RFC 7519 sections 4.1.4 to 4.1.6. What is absent is the zero
// time, and so never in the future.
func (i *issuer) judgeTime(c *claims, now time.Time, leeway time.Duration) error {
	switch {
	case c.exp.set && !now.Before(c.exp.Add(leeway)):
		return ErrExpired
	case !c.exp.set && i.MaxAge == 0:
		return errNoExpiry
	case now.Add(leeway).Before(c.nbf.Time):
		return ErrNotYet
	case now.Add(leeway).Before(c.iat.Time):
		return errIssuedAhead
	}
	if i.MaxAge > 0 {
		if !c.iat.set {
			return errNoIssuedAt
		}
		if !now.Before(c.iat.Add(i.MaxAge + leeway)) {
			return errTooOld
		}
	}
	if i.MaxLifetime > 0 {
		if !c.iat.set {
			return errNoIssuedAt
		}
		if c.exp.After(c.iat.Add(i.MaxLifetime)) {
			return errTooLongLife
		}
	}
	return nil
}

// judgeType compares typ, a media type and so regardless of case (RFC 7515
// section 4.1.9), with the list. It keeps ID tokens, logout tokens and DPoP
// proofs of the same issuer out (RFC 8725 section 3.11).
func (i *issuer) judgeType(typ string) error {
	for _, t := range i.Types {
		if strings.EqualFold(t, typ) {
			return nil
		}
	}
	return i.errType
}
