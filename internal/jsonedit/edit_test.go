package jsonedit

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, path, in, out string }{
		{"white space stays", `$.t`, " {\r\n\t\"t\" : 1 ,\n \"u\":\t2 } \n", " {\r\n\t\"t\" : \"REDACTED\" ,\n \"u\":\t2 } \n"},
		{"numbers keep their spelling", `$.t`, `{"t":1,"n":[1.0,-0,1E+2,9007199254740993]}`, `{"t":"REDACTED","n":[1.0,-0,1E+2,9007199254740993]}`},
		{"strings keep their escapes", `$.t`, `{"u":"\u00e9\/\n","t":"x"}`, `{"u":"\u00e9\/\n","t":"REDACTED"}`},
		{"an object is replaced as a whole", `$.t`, `{"t":{"a":[1,{"b":2}]},"u":0}`, `{"t":"REDACTED","u":0}`},
		{"every type of value is selected", `$.*`, `{"a":null,"b":true,"c":false,"d":-1.5e3,"e":"","f":[],"g":{}}`, `{"a":"REDACTED","b":"REDACTED","c":"REDACTED","d":"REDACTED","e":"REDACTED","f":"REDACTED","g":"REDACTED"}`},
		{"the document itself", `$`, " [1] ", ` "REDACTED" `},
		{"a scalar document", `$`, `17`, `"REDACTED"`},
		{"a scalar document below which nothing is", `$.a`, `17`, `17`},
		{"a number at the very end", `$`, "1 2", `"REDACTED" "REDACTED"`},
		{"the outermost selection wins, once", `$..t`, `{"t":{"t":{"t":1}},"u":{"t":2}}`, `{"t":"REDACTED","u":{"t":"REDACTED"}}`},
		{"a string is not looked into", `$..t`, `{"u":"{\"t\":1}","t":2}`, `{"u":"{\"t\":1}","t":"REDACTED"}`},
		{"the empty name", `$['']`, `{"":1,"a":2}`, `{"":"REDACTED","a":2}`},
		{"names of the same length differ", `$.token`, `{"tokem":1,"Token":2,"token":3}`, `{"tokem":1,"Token":2,"token":"REDACTED"}`},
		{"an index", `$[1]`, `[1,[2],3]`, `[1,"REDACTED",3]`},
		{"an index selects nothing of an object", `$[0]`, `{"0":1}`, `{"0":1}`},
		{"a name selects nothing of an array", `$.a`, `["a"]`, `["a"]`},
		{"an index from the end", `$[-2]`, `[1,2,3]`, `[1,"REDACTED",3]`},
		{"a slice with a step", `$[1:6:2]`, `[0,1,2,3,4,5,6]`, `[0,"REDACTED",2,"REDACTED",4,"REDACTED",6]`},
		{"a slice from behind", `$[:1:-2]`, `[0,1,2,3,4]`, `[0,1,"REDACTED",3,"REDACTED"]`},
		{"a union", `$['a',1,?@.x]`, `{"a":1,"b":{"x":1},"c":2}`, `{"a":"REDACTED","b":"REDACTED","c":2}`},
		{"a filter", `$[?@.kind=='secret'].value`, `[{"kind":"secret","value":1},{"kind":"x","value":2}]`, `[{"kind":"secret","value":"REDACTED"},{"kind":"x","value":2}]`},
		{"a filter below a filter", `$[?@.a][?@.b].c`, `[{"a":1,"k":{"b":1,"c":2}},{"k":{"b":1,"c":2}}]`, `[{"a":1,"k":{"b":1,"c":"REDACTED"}},{"k":{"b":1,"c":2}}]`},
		{"a filter that looks at the root", `$.list[?@.id==$.mine].v`, `{"mine":2,"list":[{"id":1,"v":1},{"id":2,"v":2}]}`, `{"mine":2,"list":[{"id":1,"v":1},{"id":2,"v":"REDACTED"}]}`},
		{"NDJSON, value by value", `$.t`, "{\"t\":1}\n{\"u\":2}\r\n{\"t\":3}\n", "{\"t\":\"REDACTED\"}\n{\"u\":2}\r\n{\"t\":\"REDACTED\"}\n"},
		{"RFC 7464 sequences", `$.t`, "\x1e{\"t\":1}\n\x1e{\"t\":2}\n", "\x1e{\"t\":\"REDACTED\"}\n\x1e{\"t\":\"REDACTED\"}\n"},
		{"a byte order mark passes", `$.t`, "\ufeff{\"t\":1}", "\ufeff{\"t\":\"REDACTED\"}"},
		{"concatenated objects", `$.t`, `{"t":1}{"t":2}`, `{"t":"REDACTED"}{"t":"REDACTED"}`},
	} {
		got, err := everyWay(t, compile(t, c.path), c.in, mask)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.out, got, c.rule)
		got, err = everyWay(t, compile(t, c.path).buffered(), c.in, mask)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.out, got, "%s, document tier", c.rule)
		got, err = everyWay(t, compile(t, c.path), c.in, same)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.in, got, "%s, identity", c.rule)
	}
}

func TestElsewhere_EscapedNameIsMissed(t *testing.T) {
	t.Parallel()
	e := compile(t, "$..access_token", "$.é", "$['😀']")
	got, err := everyWay(t, e, `{"access\u005ftoken":1,"\u0061ccess_token":2,"\u00E9":3,"\ud83d\ude00":4,"access\\u005ftoken":5}`, mask)
	require.NoError(t, err)
	require.Equal(t, `{"access\u005ftoken":"REDACTED","\u0061ccess_token":"REDACTED","\u00E9":"REDACTED","\ud83d\ude00":"REDACTED","access\\u005ftoken":5}`, got)
}

func TestElsewhere_DuplicateNameHidesSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, path, in, out string }{
		{"first and last are edited", `$.t`, `{"t":1,"u":2,"t":3,"\u0074":4}`, `{"t":"REDACTED","u":2,"t":"REDACTED","\u0074":"REDACTED"}`},
		{"below a name that comes twice", `$.a.t`, `{"a":{"t":1},"a":{"t":2}}`, `{"a":{"t":"REDACTED"},"a":{"t":"REDACTED"}}`},
		{"a type that changes", `$.a.t`, `{"a":{"t":1},"a":[],"a":null}`, `{"a":{"t":"REDACTED"},"a":[],"a":null}`},
		{"a filter sees the first", `$[?@.k=='x'].t`, `[{"k":"x","k":"y","t":1}]`, `[{"k":"x","k":"y","t":"REDACTED"}]`},
		{"a filter sees the last", `$[?@.k=='y'].t`, `[{"k":"x","k":"y","t":1}]`, `[{"k":"x","k":"y","t":"REDACTED"}]`},
		{"a filter's root sees both", `$.l[?@==$.k]`, `{"k":1,"l":[1,2,3],"k":2}`, `{"k":1,"l":["REDACTED","REDACTED",3],"k":2}`},
	} {
		got, err := everyWay(t, compile(t, c.path), c.in, mask)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.out, got, c.rule)
	}
}

func TestElsewhere_SecondValueCopiedUnread(t *testing.T) {
	t.Parallel()
	e := compile(t, "$.t")
	got, err := everyWay(t, e, "{}\n{\"t\":1}", mask)
	require.NoError(t, err)
	require.Equal(t, "{}\n{\"t\":\"REDACTED\"}", got)
	for _, text := range []string{"{} x", "{}}", "{},{\"t\":1}", "1true", "true\"t\"", "12-3", "{}\ufeff{}"} {
		_, err := everyWay(t, e, text, mask)
		require.ErrorIs(t, err, ErrSyntax, text)
	}
}

func TestValuePath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule  string
		paths []string
		in    string
		out   string
	}{
		{"each value says which path", []string{"$.a", "$.b"}, `{"b":1,"a":2}`, `{"b":{"edited by 1":1},"a":{"edited by 0":2}}`},
		{"the first of two", []string{"$.*", "$.a"}, `{"a":2}`, `{"a":{"edited by 0":2}}`},
		{"the first of two, a filter among them", []string{"$[?@.x]", "$[*]"}, `[1,{"x":1}]`, `[{"edited by 1":1},{"edited by 0":{"x":1}}]`},
		{"the outermost, not the first", []string{"$.a.b", "$.a"}, `{"a":{"b":1}}`, `{"a":{"edited by 1":{"b":1}}}`},
		{"more paths than a word has bits", append(many("$.x%d", 100), "$.y"), `{"x99":1,"y":2,"x100":3}`, `{"x99":{"edited by 99":1},"y":{"edited by 100":2},"x100":3}`},
	} {
		e := compile(t, c.paths...)
		got, err := everyWay(t, e, c.in, mark)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.out, got, c.rule)
		got, err = everyWay(t, e.buffered(), c.in, mark)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.out, got, "%s, document tier", c.rule)
	}
}

func TestReplaceNilKeeps(t *testing.T) {
	t.Parallel()
	odd := func(v Value) ([]byte, error) {
		if len(v.Raw)%2 == 1 {
			return []byte("0"), nil
		}
		return nil, nil
	}
	for _, path := range []string{"$[*]", "$[?@]", "$[?$]"} {
		got, err := everyWay(t, compile(t, path), `[1, 22 ,"3","44",[5,6],[ 7,8]]`, odd)
		require.NoError(t, err)
		require.Equal(t, `[0, 22 ,0,"44",0,[ 7,8]]`, got)
	}
}

func TestReplaceErrorEndsEdit(t *testing.T) {
	t.Parallel()
	errStop := errors.New("stop")
	for _, path := range []string{"$[*].t", "$[?@.t].t", "$[?$].t"} {
		n := 0
		e := compile(t, path).windowed(1)
		got, err := edit(e, `[{"t":1},{"t":"secret"},{"t":3}]`, func(v Value) ([]byte, error) {
			if n++; n == 2 {
				return nil, errStop
			}
			return []byte("0"), nil
		})
		require.ErrorIs(t, err, errStop)
		require.Equal(t, 2, n, "asked again after the error")
		require.NotContains(t, got, "secret")
	}
}

func TestEmptyReplacementIsRefused(t *testing.T) {
	t.Parallel()
	_, err := everyWay(t, compile(t, "$.a"), `{"a":1}`, func(Value) ([]byte, error) { return []byte{}, nil })
	require.ErrorIs(t, err, errEmpty)
}

func TestConcurrentEdits(t *testing.T) {
	t.Parallel()
	e := compile(t, "$..t", "$[?match(@.k,'x+')].v")
	want, err := edit(e, `[{"t":1,"k":"xx","v":2}]`, mark)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				got, err := everyWay(t, e, `[{"t":1,"k":"xx","v":2}]`, mark)
				if err != nil || got != want {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// chunks is a source that delivers what it is sent, when it is sent.
type chunks chan string

func (c chunks) Read(p []byte) (int, error) {
	s, ok := <-c
	if !ok {
		return 0, io.EOF
	}
	return copy(p, s), nil
}

func TestElsewhere_FlushedChunksAreDelayed(t *testing.T) {
	t.Parallel()
	src := make(chunks, 1)
	r := compile(t, "$.t").Reader(src, mask)
	buf := make([]byte, 100)
	for _, c := range []struct{ sent, decided string }{
		{`{"n":1`, `{"n":1`},
		{`23,"li`, `23,"li`},
		{`st":["a`, `st":["a`},
		{`"],"t":"sec`, `"],"t":`},
		{`ret","u"`, `"REDACTED","u"`},
		{":tru", ":tru"},
		{"e}\n", "e}\n"},
		{`{"t":5`, `{"t":`},
		{"}\n", "\"REDACTED\"}\n"},
	} {
		src <- c.sent
		n, err := r.Read(buf)
		require.NoError(t, err)
		require.Equal(t, c.decided, string(buf[:n]))
	}
	close(src)
	_, err := r.Read(buf)
	require.ErrorIs(t, err, io.EOF)
	_, err = r.Read(buf)
	require.ErrorIs(t, err, io.EOF)
}

func TestSourceThatDeliversNothing(t *testing.T) {
	t.Parallel()
	empty := readFunc(func([]byte) (int, error) { return 0, nil })
	require.ErrorIs(t, compile(t, "$.t").Edit(io.Discard, empty, mask), io.ErrNoProgress)
	_, err := io.ReadAll(compile(t, "$.t").Reader(empty, mask))
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestSourceError(t *testing.T) {
	t.Parallel()
	errSrc := errors.New("connection reset")
	src := func() io.Reader {
		return io.MultiReader(strings.NewReader(`{"u":1,"t":"sec`), readFunc(func([]byte) (int, error) { return 0, errSrc }))
	}
	var out strings.Builder
	require.ErrorIs(t, compile(t, "$.t").Edit(&out, src(), mask), errSrc)
	require.Equal(t, `{"u":1,"t":`, out.String())
	got, err := io.ReadAll(compile(t, "$.t").Reader(src(), mask))
	require.ErrorIs(t, err, errSrc)
	require.Equal(t, `{"u":1,"t":`, string(got))
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

func TestDestinationError(t *testing.T) {
	t.Parallel()
	e := compile(t, "$.t")
	require.ErrorIs(t, e.Edit(shortWriter{}, strings.NewReader(`{"t":1}`), mask), io.ErrShortWrite)
	pr, pw := io.Pipe()
	require.NoError(t, pr.Close())
	require.ErrorIs(t, e.Edit(pw, strings.NewReader(`{"t":1}`), mask), io.ErrClosedPipe)
	w := e.Writer(shortWriter{}, mask)
	_, err := io.WriteString(w, `{"t":1}`)
	require.ErrorIs(t, err, io.ErrShortWrite)
	_, err = io.WriteString(w, ` `)
	require.ErrorIs(t, err, io.ErrShortWrite, "the error stays")
	require.ErrorIs(t, w.Close(), io.ErrShortWrite)
}

func TestWriterAfterClose(t *testing.T) {
	t.Parallel()
	w := compile(t, "$.t").Writer(io.Discard, mask)
	_, err := io.WriteString(w, `{}`)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	_, err = io.WriteString(w, `{}`)
	require.Error(t, err)
}
