package relay

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"
)

// sealForm is a form-encoded body with the selected values sealed. The form is
// edited as the flat object that the selectors see it as; pairs that come back
// as they were keep their spelling.
func (a *answer) sealForm(body []byte) ([]byte, error) {
	pairs := strings.Split(string(body), "&")
	values, object, ok := formObject(pairs)
	if !ok {
		return nil, refuse(ErrResponse, "body", "not a form")
	}
	edited, err := a.sealJSON(object)
	if err != nil {
		return nil, err
	}
	sealed, ok := objectValues(edited)
	if !ok || len(sealed) != len(values) {
		return nil, refuse(ErrResponse, "body", "a selector takes the whole form")
	}
	for i, v := range sealed {
		if v != values[i] {
			name, _, _ := strings.Cut(pairs[i], "=")
			pairs[i] = name + "=" + url.QueryEscape(v)
		}
	}
	return []byte(strings.Join(pairs, "&")), nil
}

// formObject writes pairs, in their order and with duplicates, as one object.
// ok is false for what readers of forms disagree about.
func formObject(pairs []string) (values []string, object []byte, ok bool) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	b.WriteByte('{')
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil || strings.Contains(pair, ";") || !utf8.ValidString(name+value) {
			return nil, nil, false
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if e.Encode(name) != nil {
			return nil, nil, false
		}
		b.WriteByte(':')
		if e.Encode(value) != nil {
			return nil, nil, false
		}
		values = append(values, value)
	}
	b.WriteByte('}')
	return values, b.Bytes(), true
}

// objectValues are the values of a flat object of strings, duplicates included.
func objectValues(object []byte) (values []string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		if _, err := d.Token(); err != nil {
			return nil, false
		}
		t, err := d.Token()
		v, isString := t.(string)
		if err != nil || !isString {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}
