package phantom

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
)

var errNotJWS = errors.New("not a compact JWS")

// jws is a compact JWS taken apart (RFC 7515 section 7.1). Its signature has not
// been looked at, except that there is one.
type jws struct {
	typ     string
	payload []byte
}

// parseJWS reads strictly: three parts of base64url without padding, a header
// that is a JSON object with an alg other than none, a signature. A JWE has five.
func parseJWS(s string) (jws, error) {
	header, rest, _ := strings.Cut(s, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if signature == "" || strings.ContainsAny(s, "\r\n") {
		return jws{}, errNotJWS
	}
	strict := base64.RawURLEncoding.Strict()
	head, err := strict.DecodeString(header)
	if err != nil {
		return jws{}, errNotJWS
	}
	body, err := strict.DecodeString(payload)
	if err != nil {
		return jws{}, errNotJWS
	}
	if _, err := strict.DecodeString(signature); err != nil {
		return jws{}, errNotJWS
	}
	members, err := parseObject(head)
	if err != nil {
		return jws{}, errNotJWS
	}
	alg, _ := members.text("alg") // empty if it is no string
	if alg == "" || strings.EqualFold(alg, "none") {
		return jws{}, errNotJWS
	}
	typ, err := members.text("typ")
	if err != nil {
		return jws{}, errNotJWS
	}
	return jws{typ: typ, payload: body}, nil
}

// An object is a JSON object's members by their exact names.
type object map[string]json.RawMessage

var errNotObject = errors.New("not a JSON object of distinct members")

// parseObject refuses what two readers could read differently: a member named
// twice, or text after the object.
func parseObject(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, _ := dec.Token(); open != json.Delim('{') {
		return nil, errNotObject
	}
	members := object{}
	for dec.More() {
		name, _ := dec.Token()
		key, ok := name.(string)
		if _, twice := members[key]; !ok || twice {
			return nil, errNotObject
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, errNotObject
		}
		members[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotObject
	}
	if len(bytes.TrimSpace(data[dec.InputOffset():])) > 0 {
		return nil, errNotObject
	}
	return members, nil
}

var errClaim = errors.New("a claim has the wrong type")

// has reports whether there is such a member; null counts as absent.
func (o object) has(name string) bool {
	return len(o[name]) > 0 && string(o[name]) != "null"
}

// text is a string member, empty when absent.
func (o object) text(name string) (string, error) {
	var s string
	if o.has(name) && json.Unmarshal(o[name], &s) != nil {
		return "", errClaim
	}
	return s, nil
}

// texts is a member that is a string or an array of strings.
func (o object) texts(name string) ([]string, error) {
	if !o.has(name) {
		return nil, nil
	}
	if o[name][0] == '"' {
		s, err := o.text(name)
		return []string{s}, err
	}
	var list []*string // pointers tell null, which would pass for ""
	if json.Unmarshal(o[name], &list) != nil {
		return nil, errClaim
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s == nil {
			return nil, errClaim
		}
		out = append(out, *s)
	}
	return out, nil
}

// maxDate is the last second of the year 9999, where time.Time stops printing.
const maxDate = 253402300799

// date is a NumericDate (RFC 7519 section 2), rounded down. Absent is 0, and so
// that nothing else is, the epoch and what lies before it are 1.
func (o object) date(name string) (int64, error) {
	if !o.has(name) {
		return 0, nil
	}
	var f float64
	if json.Unmarshal(o[name], &f) != nil {
		return 0, errClaim
	}
	return int64(math.Min(math.Max(math.Floor(f), 1), maxDate)), nil
}
