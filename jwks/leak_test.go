package jwks_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// No error, event, answer or printed value holds a token, a claim or what the
// issuer said.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const claim, said, kid = "a claim that is private", "what the issuer said", "kid-of-the-attacker"
	iss := jwkstest.NewIssuer(t, "EdDSA")
	var mu sync.Mutex
	var out bytes.Buffer
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Observe = func(_ context.Context, e jwks.Event) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&out, "%v %+v %#v\n", e, e, e)
		}
	})
	claims := with(iss.Claims(api), object{"note": claim, "sub": claim, "jti": claim})
	key := iss.Keys()[0]
	good := iss.Sign(claims)
	tokens := []string{good, good + "\n", good[:len(good)-9] + "AAAAAAAAA"}
	for _, change := range []object{{"exp": 1}, {"aud": claim}, {"iss": claim}, {"exp": claim}, {"cnf": claim}, {"nbf": 4000000000}} {
		tokens = append(tokens, iss.Sign(with(claims, change)))
	}
	for _, header := range []object{{"kid": kid}, {"alg": kid}, {"typ": kid}, {"crit": kid}, {"jku": kid}} {
		tokens = append(tokens, iss.SignWith(key, header, claims))
	}
	for round := range 2 {
		for _, token := range tokens {
			c, err := v.Verify(t.Context(), token)
			fmt.Fprintf(&out, "%v %+v %#v %v %+v %#v\n", err, err, err, c, c, c)
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
			v.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
			fmt.Fprintln(&out, w.Header(), w.Body)
		}
		if round == 0 {
			iss.PublishRaw([]byte(said))
		}
	}
	fmt.Fprintf(&out, "%+v %#v", v, v)
	require.NoError(t, v.Close())
	secrets := []string{claim, said, kid}
	for _, token := range tokens {
		secrets = append(secrets, token, token[strings.LastIndexByte(token, '.')+1:])
	}
	mu.Lock()
	defer mu.Unlock()
	leaktest.None(t, out.Bytes(), secrets...)
}
