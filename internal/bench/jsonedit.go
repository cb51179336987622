package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bytedance/sonic"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/ohler55/ojg/oj"
	"github.com/tidwall/sjson"
	"github.com/valyala/fastjson"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
)

// editorRows measure replacing every member named token, or the two tokens of a
// token endpoint's answer. What the peers lack is named with them: none checks
// the grammar and leaves the rest of the text as it came.
func editorRows() []ratio.Row {
	list, answer := accountList(10_000_000), tokenAnswer()
	return []ratio.Row{{
		Name: "edit JSON, 10 MB, $..token",
		Cases: []ratio.Case{
			{Name: "json.Valid", Run: func(n int) { repeat(n, func() { must(0, unless(json.Valid(list))) }) }},
			{Name: "tokenvault", Run: editing(list, "$..token")},
			{Name: "lax byte scan", Run: func(n int) { repeat(n, func() { laxScan(io.Discard, list) }) }},
			{Name: "encoding/json decode, edit, encode", Run: func(n int) { repeat(n, func() { recode(list, json.Unmarshal, json.Marshal) }) }},
			{Name: "jsontext tokens", Run: func(n int) { repeat(n, func() { jsontextEdit(list) }) }},
			{Name: "sonic decode, edit, encode", Run: func(n int) { repeat(n, func() { recode(list, sonic.Unmarshal, sonic.Marshal) }) }},
			{Name: "ojg decode, edit, encode", Run: func(n int) { repeat(n, func() { recode(list, ojUnmarshal, ojMarshal) }) }},
			{Name: "fastjson parse, set, marshal", Run: fastjsonEditing(list)},
		},
		Goals: []ratio.Goal{
			{Case: "tokenvault", Over: "json.Valid", AtMost: 1 / 1.4, Allocs: -1},
			{Case: "encoding/json decode, edit, encode", Over: "tokenvault", AtLeast: 12},
		},
	}, {
		Name: "edit JSON, token response of 0.7 KB",
		Cases: []ratio.Case{
			{Name: "json.Valid", Run: func(n int) { repeat(n, func() { must(0, unless(json.Valid(answer))) }) }},
			{Name: "tokenvault", Run: editing(answer, "$.access_token", "$.refresh_token")},
			{Name: "lax byte scan", Run: func(n int) { repeat(n, func() { laxScan(io.Discard, answer) }) }},
			{Name: "encoding/json decode, edit, encode", Run: func(n int) { repeat(n, func() { recode(answer, json.Unmarshal, json.Marshal) }) }},
			{Name: "sonic decode, edit, encode", Run: func(n int) { repeat(n, func() { recode(answer, sonic.Unmarshal, sonic.Marshal) }) }},
			{Name: "sjson, two paths", Run: func(n int) {
				repeat(n, func() {
					once := must(sjson.SetBytes(answer, "access_token", "REDACTED"))
					must(sjson.SetBytes(once, "refresh_token", "REDACTED"))
				})
			}},
			{Name: "fastjson parse, set, marshal", Run: fastjsonEditing(answer)},
		},
		Goals: []ratio.Goal{{Case: "tokenvault", Over: "json.Valid", AtMost: 1, Allocs: -1}},
	}}
}

var editMask = []byte(`"REDACTED"`)

// accountList is n bytes, or a few more, of a list of accounts with a token each.
func accountList(n int) []byte {
	var b bytes.Buffer
	b.WriteString("[\n")
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `  {"id": %d, "name": "User %d", "email": "user%d@example.com", "active": %t, "score": %d.25, "tags": ["alpha", "beta", "gamma"], `+
			`"profile": {"city": "Z\u00fcrich", "bio": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor", "visits": [1, 22, 333, 4444]}, `+
			`"token": "eyJhbGciOiJSUzI1NiJ9.%032d.c2lnbmF0dXJl"}`, i, i, i, i%2 == 0, i%100, i)
	}
	b.WriteString("\n]\n")
	return b.Bytes()
}

func tokenAnswer() []byte {
	return fmt.Appendf(nil, `{"access_token":"eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.%s.%s","token_type":"Bearer","expires_in":3600,"refresh_token":"%s","scope":"openid profile email offline_access"}`,
		strings.Repeat("eyJzdWIi", 37), strings.Repeat("c2lnbmF0", 20), strings.Repeat("cmVmcmVz", 8))
}

func unless(ok bool) error {
	if !ok {
		return errors.New("invalid")
	}
	return nil
}

func editing(doc []byte, paths ...string) func(n int) {
	e, src := must(jsonedit.Compile(paths...)), bytes.NewReader(nil)
	f := func(jsonedit.Value) ([]byte, error) { return editMask, nil }
	return func(n int) {
		repeat(n, func() {
			src.Reset(doc)
			must(0, e.Edit(io.Discard, src, f))
		})
	}
}

// laxScan replaces strings behind the name token and believes everything else.
func laxScan(dst io.Writer, doc []byte) {
	name, done := []byte(`token":`), 0
	for i := 0; i < len(doc); i++ {
		if doc[i] != '"' {
			continue
		}
		end := i + 1
		for doc[end] != '"' {
			if doc[end] == '\\' {
				end++
			}
			end++
		}
		if end+2 < len(doc) && bytes.HasSuffix(doc[i:end+2], name) {
			start := end + 2
			for doc[start] == ' ' {
				start++
			}
			end = start + 1 + bytes.IndexByte(doc[start+1:], '"')
			must(dst.Write(doc[done:start]))
			must(dst.Write(editMask))
			done = end + 1
		}
		i = end
	}
	must(dst.Write(doc[done:]))
}

func recode(doc []byte, decode func([]byte, any) error, encode func(any) ([]byte, error)) {
	var v any
	must(0, decode(doc, &v))
	maskTokens(v)
	must(encode(v))
}

func maskTokens(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, kid := range v {
			if isTokenName(name) {
				v[name] = "REDACTED"
			} else {
				maskTokens(kid)
			}
		}
	case []any:
		for _, kid := range v {
			maskTokens(kid)
		}
	}
}

func isTokenName(name string) bool {
	return name == "token" || name == "access_token" || name == "refresh_token"
}

func ojUnmarshal(doc []byte, v any) (err error) {
	*v.(*any), err = oj.Parse(doc)
	return err
}

func ojMarshal(v any) ([]byte, error) { return oj.Marshal(v) }

func jsontextEdit(doc []byte) {
	dec, enc := jsontext.NewDecoder(bytes.NewReader(doc)), jsontext.NewEncoder(io.Discard)
	mask := jsontext.String("REDACTED")
	for {
		tok, err := dec.ReadToken()
		if err == io.EOF {
			return
		}
		must(0, err)
		kind, n := dec.StackIndex(dec.StackDepth())
		found := kind == '{' && n%2 == 1 && isTokenName(tok.String())
		must(0, enc.WriteToken(tok))
		if found {
			must(0, dec.SkipValue())
			must(0, enc.WriteToken(mask))
		}
	}
}

func fastjsonEditing(doc []byte) func(n int) {
	var parser fastjson.Parser
	mask, out := fastjson.MustParse(`"REDACTED"`), []byte(nil)
	var walk func(v *fastjson.Value)
	walk = func(v *fastjson.Value) {
		switch v.Type() {
		case fastjson.TypeObject:
			v.GetObject().Visit(func(key []byte, kid *fastjson.Value) {
				if isTokenName(string(key)) {
					v.Set(string(key), mask)
				} else {
					walk(kid)
				}
			})
		case fastjson.TypeArray:
			for _, kid := range v.GetArray() {
				walk(kid)
			}
		}
	}
	return func(n int) {
		repeat(n, func() {
			v := must(parser.ParseBytes(doc))
			walk(v)
			out = v.MarshalTo(out[:0])
		})
	}
}
