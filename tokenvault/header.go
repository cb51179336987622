package tokenvault

import (
	"cmp"
	"crypto/ecdh"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// header is the protected header of a sealed value.
type header struct {
	kid   string
	suite suite
	epk   *ecdh.PublicKey // public suite only
	label Label
}

// A member of a header, in a set of those seen.
type member uint16

const (
	mAlg member = 1 << iota
	mEnc
	mKid
	mEpk
	mAud
	mSub
	mExp
	mTyp
	mCty
)

func memberNamed(name string) member {
	switch name {
	case "alg":
		return mAlg
	case "enc":
		return mEnc
	case "kid":
		return mKid
	case "epk":
		return mEpk
	case "aud":
		return mAud
	case "sub":
		return mSub
	case "exp":
		return mExp
	case "typ":
		return mTyp
	case "cty":
		return mCty
	}
	return 0
}

var (
	errNotHeader = errors.New("header is not the JSON of a version 1 header")
	errMember    = errors.New("header has an unknown or duplicate member")
	errSuite     = errors.New("header names no known suite")
	errMissing   = errors.New("header lacks a member")
	errEpk       = errors.New("epk is not exactly a P-256 public key")
)

// ownStart begins the headers that Seal writes in the symmetric suite.
const ownStart = `{"alg":"` + algSymmetric + `","enc":"` + encGCM + `",`

// parseHeader reads a decoded header. Its strings are pieces of s.
func parseHeader(s string) (header, error) {
	p := headerParser{scanner: scanner{s: s}}
	if strings.HasPrefix(s, ownStart) { // two members less to read, in nearly every header
		p.at, p.seen, p.h.suite = len(ownStart), mAlg|mEnc, symmetric
		p.further('}', p.member)
	} else {
		p.each('{', '}', p.member)
	}
	p.space()
	if p.at != len(s) {
		p.fail()
	}
	if p.err != nil {
		return header{}, p.err
	}
	need := mAlg | mEnc | mKid
	if p.h.suite == public {
		need |= mEpk
	}
	if p.seen&need != need {
		return header{}, errMissing
	}
	if p.h.suite == symmetric && p.seen&mEpk != 0 {
		return header{}, errMember
	}
	return p.h, nil
}

type headerParser struct {
	scanner
	h    header
	seen member
}

func (p *headerParser) member() {
	m := memberNamed(p.str())
	p.expect(':')
	if m == 0 || p.seen&m != 0 {
		p.refuse(errMember)
		return
	}
	p.seen |= m
	l := &p.h.label
	switch m {
	case mAlg:
		p.alg()
	case mEnc:
		if p.str() != encGCM {
			p.refuse(errSuite)
		}
	case mKid:
		p.h.kid = p.str()
	case mEpk:
		p.epk()
	case mAud:
		p.each('[', ']', func() { l.Hosts = append(l.Hosts, p.str()) })
	case mSub:
		l.Subject = p.str()
	case mExp:
		l.Expires = p.seconds()
	case mTyp:
		l.Purpose = p.str()
	case mCty:
		if l.JSON = p.str() == ctyJSON; !l.JSON {
			p.fail()
		}
	}
}

func (p *headerParser) alg() {
	switch p.str() {
	case algSymmetric:
		p.h.suite = symmetric
	case algPublic:
		p.h.suite = public
	default:
		p.refuse(errSuite)
	}
}

func (p *headerParser) seconds() time.Time {
	n := p.integer()
	if n > maxExpires {
		p.fail()
	}
	return time.Unix(n, 0).UTC()
}

// epk reads {"kty":"EC","crv":"P-256","x":…,"y":…} in any order, and nothing
// else. Where one of four members is a duplicate or unknown, another is missing.
func (p *headerParser) epk() {
	var kty, crv, x, y, unknown string
	n := p.each('{', '}', func() {
		field := cmp.Or(map[string]*string{"kty": &kty, "crv": &crv, "x": &x, "y": &y}[p.str()], &unknown)
		p.expect(':')
		*field = p.str()
	})
	if n != 4 || kty != "EC" || crv != "P-256" {
		p.refuse(errEpk)
	}
	if p.h.epk = parsePoint(x, y); p.h.epk == nil {
		p.refuse(errEpk)
	}
}

// parsePoint returns nil for what is no point of P-256.
func parsePoint(x, y string) *ecdh.PublicKey {
	point := append(make([]byte, 0, 1+2*coordinate), 4) // uncompressed, SEC 1 section 2.3.3
	point, okX := wire.AppendDecode(point, x)
	point, okY := wire.AppendDecode(point, y)
	if !okX || !okY || len(x) != len(y) {
		return nil
	}
	key, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil
	}
	return key
}

// ctyJSON is the one content type that a header may name.
const ctyJSON = "json"

const coordinate = 32 // bytes of a P-256 coordinate, RFC 7518 section 6.2.1.2

// head is a header's beginning, the same for every value under one key, with
// as much of it encoded as fills groups of three bytes.
type head struct {
	encoded string
	rest    string // 0 to 2 bytes that open the first group not encoded
}

func newHead(s suite, kid string) head {
	b := fmt.Appendf(nil, `{"alg":%q,"enc":%q,"kid":`, s.alg(), encGCM)
	b = appendString(b, kid)
	n := len(b) / 3 * 3
	return head{string(wire.AppendEncode(nil, b[:n])), string(b[n:])}
}

// append appends a whole header's base64url. json is its scratch space.
func (h head) append(dst, json []byte, epk *ecdh.PublicKey, l *Label) (text, scratch []byte, err error) {
	json = append(json[:0], h.rest...)
	if epk != nil {
		json = appendEpk(json, epk)
	}
	json = append(l.appendMembers(json), '}')
	if len(h.encoded)/4*3+len(json) > wire.MaxHeader {
		return dst, json, fmt.Errorf("%w: longer than %d bytes", ErrLabel, wire.MaxHeader)
	}
	dst = append(dst, h.encoded...)
	return wire.AppendEncode(dst, json), json, nil
}

func appendEpk(b []byte, epk *ecdh.PublicKey) []byte {
	point := epk.Bytes()[1:]
	b = append(b, `,"epk":{"kty":"EC","crv":"P-256","x":"`...)
	b = wire.AppendEncode(b, point[:coordinate])
	b = append(b, `","y":"`...)
	b = wire.AppendEncode(b, point[coordinate:])
	return append(b, `"}`...)
}

// appendMembers appends the label as header members, each behind a comma.
func (l *Label) appendMembers(b []byte) []byte {
	if len(l.Hosts) > 0 {
		b = append(b, `,"aud":[`...)
		for i, h := range l.Hosts {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, h)
		}
		b = append(b, ']')
	}
	if l.Subject != "" {
		b = appendString(append(b, `,"sub":`...), l.Subject)
	}
	if !l.Expires.IsZero() {
		b = strconv.AppendInt(append(b, `,"exp":`...), l.Expires.Unix(), 10)
	}
	if l.Purpose != "" {
		b = appendString(append(b, `,"typ":`...), l.Purpose)
	}
	if l.JSON {
		b = append(b, `,"cty":"`+ctyJSON+`"`...)
	}
	return b
}
