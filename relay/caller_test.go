package relay

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallerSubjects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule            string
		subjects, named []string
		want            string
		ok              bool
	}{
		{"no subject", nil, nil, "", true},
		{"the only one", []string{"alice"}, nil, "alice", true},
		{"the only one, named", []string{"alice"}, []string{"alice"}, "alice", true},
		{"one of several", []string{"alice", "bob"}, []string{"bob"}, "bob", true},
		{"any", []string{"*"}, []string{"carol"}, "carol", true},
		{"another than the only one", []string{"alice"}, []string{"bob"}, "", false},
		{"none of several named", []string{"alice", "bob"}, nil, "", false},
		{"none of any named", []string{"*"}, nil, "", false},
		{"an empty name", []string{"*"}, []string{""}, "", false},
		{"the star", []string{"*"}, []string{"*"}, "", false},
		{"two", []string{"*"}, []string{"alice", "alice"}, "", false},
		{"where there is none", nil, []string{"alice"}, "", false},
	} {
		c := caller{subjects: tt.subjects}
		got, ok := c.subject(http.Header{subjectHeader: tt.named})
		require.Equal(t, tt.ok, ok, tt.rule)
		if ok {
			require.Equal(t, tt.want, got, tt.rule)
		}
	}
}

func TestCallerCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule         string
		header       http.Header
		user, secret string
		ok           bool
	}{
		{"none", http.Header{}, "", "", true},
		{"own", http.Header{authHeader: {"s"}}, "", "s", true},
		{"own, as a bearer", http.Header{authHeader: {"bearer s"}}, "", "s", true},
		{"own, a word that is no scheme", http.Header{authHeader: {"Bearer"}}, "", "Bearer", true},
		{"own, another scheme's word", http.Header{authHeader: {"Basic s"}}, "", "Basic s", true},
		{"Bearer", http.Header{proxyAuth: {"Bearer  s"}}, "", "s", true},
		{"Basic", http.Header{proxyAuth: {basicAuth("u", "s:s")}}, "u", "s:s", true},
		{"own, empty", http.Header{authHeader: {""}}, "", "", false},
		{"own, an empty bearer", http.Header{authHeader: {"Bearer "}}, "", "", false},
		{"an empty Bearer", http.Header{proxyAuth: {"Bearer "}}, "", "", false},
		{"Bearer alone", http.Header{proxyAuth: {"Bearer"}}, "", "", false},
		{"another scheme", http.Header{proxyAuth: {"Digest dTpz"}}, "", "", false},
		{"Basic that is no base64", http.Header{proxyAuth: {"Basic dTpz!"}}, "", "", false},
		{"Basic without a colon", http.Header{proxyAuth: {"Basic dXM="}}, "", "", false},
		{"Basic without a user", http.Header{proxyAuth: {basicAuth("", "s")}}, "", "", false},
		{"Basic without a password", http.Header{proxyAuth: {basicAuth("u", "")}}, "", "", false},
		{"both fields", http.Header{authHeader: {"s"}, proxyAuth: {"Bearer s"}}, "", "", false},
		{"a field twice", http.Header{proxyAuth: {"Bearer s", "Bearer s"}}, "", "", false},
	} {
		user, secret, ok := credentials(tt.header)
		require.Equal(t, tt.ok, ok, tt.rule)
		if ok {
			require.Equal(t, [2]string{tt.user, tt.secret}, [2]string{user, secret}, tt.rule)
		}
	}
}

// Whatever a caller must present it must present, and nothing that is wrong
// beside it.
func TestCallersAreAuthenticated(t *testing.T) {
	t.Parallel()
	var callers []*caller
	for _, c := range []Caller{
		{Name: "bearer", BearerSHA256: sum("s")},
		{Name: "cert", CertSHA256: sum("cert")},
		{Name: "both", BearerSHA256: sum("b"), CertSHA256: sum("cert2")},
		{Name: "empty", BearerSHA256: sum("")},
		{Name: "zero", CertSHA256: make([]byte, 32)},
	} {
		c.Hosts = []string{host}
		checked, err := newCaller(c)
		require.NoError(t, err)
		callers = append(callers, checked)
	}
	for _, tt := range []struct{ rule, auth, cert, want string }{
		{"a bearer", "Bearer s", "", "bearer"},
		{"a bearer beside a certificate nobody knows", "Bearer s", "other", "bearer"},
		{"a certificate", "", "cert", "cert"},
		{"both", "Bearer b", "cert2", "both"},
		{"nothing", "", "", ""},
		{"another bearer", "Bearer t", "", ""},
		{"another certificate", "", "other", ""},
		{"one of both: the bearer", "Bearer b", "", ""},
		{"one of both: the certificate", "", "cert2", ""},
		{"one of both, and another's", "Bearer b", "other", ""},
		{"a certificate beside what does not parse", "Digest x", "cert", ""},
		{"a certificate beside another's name", basicAuth("bearer", "x"), "cert", ""},
		{"a bearer under another's name", basicAuth("both", "s"), "", ""},
		{"a bearer under its name", basicAuth("bearer", "s"), "", "bearer"},
	} {
		r := &http.Request{Header: http.Header{}}
		if tt.auth != "" {
			r.Header.Set(proxyAuth, tt.auth)
		}
		if tt.cert != "" {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte(tt.cert)}}}
		}
		name := ""
		if c := authenticate(callers, r); c != nil {
			name = c.name
		}
		require.Equal(t, tt.want, name, tt.rule)
	}
	require.Nil(t, authenticate(callers, &http.Request{TLS: &tls.ConnectionState{}}), "TLS without a certificate")
}
