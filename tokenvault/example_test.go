package tokenvault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// exampleKeys is for the examples alone: a key in source code is no secret.
const exampleKeys = `{"keys":[
	{"kty":"oct","kid":"2026-11","alg":"A256KW","k":"bm90IGEgc2VjcmV0LCBhcyBpdCBpcyBpbiB0aGUgZG8"},
	{"kty":"oct","kid":"2026-05","alg":"A256KW","k":"bm90IGEgc2VjcmV0IGVpdGhlciwgYW5kIG9sZGVyLi4"}
]}`

func ExampleNewKey() {
	jwk, err := tokenvault.NewKey()
	if err != nil {
		log.Fatal(err)
	}
	var key struct{ Kty, Alg, Kid string }
	if err := json.Unmarshal(jwk, &key); err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Kty, key.Alg, key.Kid != "")
	// Output: oct A256KW true
}

func ExampleNewKeyPair() {
	jwk, err := tokenvault.NewKeyPair()
	if err != nil {
		log.Fatal(err)
	}
	relay, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		log.Fatal(err)
	}
	set, err := relay.Public() // for clients that seal and cannot open
	if err != nil {
		log.Fatal(err)
	}
	client, err := tokenvault.ParseKeyring(set)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sealed, err := client.Seal(ctx, []byte("s3cret"), tokenvault.Label{})
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = client.Open(ctx, sealed, tokenvault.Use{AllowPublic: true})
	fmt.Println(errors.Is(err, tokenvault.ErrUnknownKey))
	plaintext, _, err := relay.Open(ctx, sealed, tokenvault.Use{AllowPublic: true})
	fmt.Println(string(plaintext), err)
	// Output:
	// true
	// s3cret <nil>
}

func ExampleParseKeyring() {
	keys, err := tokenvault.ParseKeyring([]byte(exampleKeys))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", keys) // the first seals
	_, err = tokenvault.ParseKeyring([]byte(`{"keys":[{"kty":"oct","kid":"short","k":"c2hvcnQ"}]}`))
	fmt.Println(err)
	// Output:
	// [2026-11 2026-05]
	// tokenvault: keys[0]: key must be 32 random bytes
}

type kms struct{} // gocloud.dev/secrets.Keeper has this method

func (kms) Decrypt(context.Context, []byte) ([]byte, error) { return []byte(exampleKeys), nil }

func ExampleOpenKeyring() {
	keys, err := tokenvault.OpenKeyring(context.Background(), []byte("as the key service encrypted it"), kms{})
	fmt.Println(keys, err)
	// Output: [2026-11 2026-05] <nil>
}

func ExampleKeyring_Seal() {
	keys, err := tokenvault.ParseKeyring([]byte(exampleKeys))
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := keys.Seal(context.Background(), []byte("s3cret"), tokenvault.Label{
		Hosts:   []string{"api.example.com"},
		Subject: "alice",
		Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	header, err := tokenvault.Inspect(sealed) // without a key
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sealed[:len(tokenvault.Prefix)], header.KeyID, header.Label.Hosts, header.Label.Subject)
	// Output: tv1. 2026-11 [api.example.com] alice
}

func ExampleKeyring_Open() {
	keys, err := tokenvault.ParseKeyring([]byte(exampleKeys))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sealed, err := keys.Seal(ctx, []byte("s3cret"), tokenvault.Label{Hosts: []string{"*.example.com"}})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, _, err := keys.Open(ctx, sealed, tokenvault.Use{Host: "api.example.com"})
	fmt.Printf("%s %v\n", plaintext, err)
	_, _, err = keys.Open(ctx, sealed, tokenvault.Use{Host: "evil.test"})
	fmt.Println(err)
	// Output:
	// s3cret <nil>
	// tokenvault: label refused: sealed for other hosts
}
