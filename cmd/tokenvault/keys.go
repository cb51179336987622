package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/spf13/cobra"
)

func newKey(pair bool) (json.RawMessage, error) {
	if pair {
		return tokenvault.NewKeyPair()
	}
	return tokenvault.NewKey()
}

func newKeygen(t *terminal) *cobra.Command {
	var out string
	var pair bool
	cmd := &cobra.Command{
		Use: "keygen --out FILE", Short: "Make a keyring with one new key", Args: noArguments,
		Long: `Make a keyring file with one new key. The file gets mode 0600; one that exists
is left alone. The key is symmetric (A256KW): who has it can seal and open. With
--pair it is a key pair (ECDH-ES+A256KW): its public half seals, and only the
keyring opens.`,
		Example: "  tokenvault keygen --out keyring.json",
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return &usageError{"tokenvault keygen", "--out is missing"}
			}
			key, err := newKey(pair)
			if err != nil {
				return err
			}
			if err := (&keySet{Keys: []json.RawMessage{key}}).write(out, true); err != nil {
				return err
			}
			fmt.Fprintf(t.out, "%s: key %s\n", out, kid(key))
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to make")
	cmd.Flags().BoolVar(&pair, "pair", false, "a key pair instead of a symmetric key")
	return cmd
}

func newKeyring(t *terminal, keys *keySource) *cobra.Command {
	cmd := &cobra.Command{
		Use: "keyring", Short: "List, add, promote and drop keys", Args: noArguments,
		Long: `Rotate the keys of a keyring file. Over a fleet, in this order:

  1. keyring add         the new key comes last: it opens, and does not seal yet
  2. give the file to every replica
  3. keyring promote KID the new key seals from now on
  4. give the file to every replica
  5. reseal              what is stored
  6. keyring drop KID    after the longest expiry`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var pair bool
	add := &cobra.Command{
		Use: "add", Short: "Add a new key as the last one", Args: noArguments,
		RunE: keys.edit(t, func(set *keySet, _ string) (string, error) {
			key, err := newKey(pair)
			if err != nil {
				return "", err
			}
			set.Keys = append(set.Keys, key)
			return "added " + kid(key) + ", last: it opens and does not seal", nil
		}),
	}
	add.Flags().BoolVar(&pair, "pair", false, "a key pair instead of a symmetric key")
	cmd.AddCommand(add,
		&cobra.Command{Use: "promote KID", Short: "Move a key to the front: it seals from now on", Args: exactly(1, "one key id"), RunE: keys.edit(t, promote)},
		&cobra.Command{Use: "drop KID", Short: "Remove a key: what is sealed under it no longer opens", Args: exactly(1, "one key id"), RunE: keys.edit(t, drop)},
		&cobra.Command{Use: "list", Short: "List the keys, without their secrets", Args: noArguments, RunE: func(*cobra.Command, []string) error { return keys.list(t) }},
		&cobra.Command{Use: "public", Short: "Print the public halves, for those who only seal", Args: noArguments, RunE: func(*cobra.Command, []string) error { return keys.public(t) }},
	)
	return cmd
}

// edit changes the keyring file as change says.
func (s *keySource) edit(t *terminal, change func(set *keySet, kid string) (string, error)) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		path := s.path()
		if path == "" {
			return errors.New("no keyring file: give --keyring FILE, or set TOKENVAULT_KEYRING_FILE")
		}
		set, err := readKeySet(path)
		if err != nil {
			return err
		}
		said, err := change(set, append(args, "")[0])
		if err != nil {
			return err
		}
		if err := set.write(path, false); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "%s: %s\n", path, said)
		return nil
	}
}

var errNoSuchKey = errors.New("the keyring has no key of that id (keyring list shows them)")

func (s *keySet) index(id string) int {
	return slices.IndexFunc(s.Keys, func(k json.RawMessage) bool { return kid(k) == id })
}

func promote(set *keySet, id string) (string, error) {
	i := set.index(id)
	if i < 0 {
		return "", errNoSuchKey
	}
	key := set.Keys[i]
	set.Keys = slices.Insert(slices.Delete(set.Keys, i, i+1), 0, key)
	return "promoted " + id + ": it seals from now on", nil
}

func drop(set *keySet, id string) (string, error) {
	i := set.index(id)
	switch {
	case i < 0:
		return "", errNoSuchKey
	case len(set.Keys) == 1:
		return "", errors.New("it is the only key")
	case i == 0:
		return "", errors.New("it is the key that seals: promote another one first")
	}
	set.Keys = slices.Delete(set.Keys, i, i+1)
	return "dropped " + id, nil
}

func (s *keySource) list(t *terminal) error {
	path := s.path()
	if path == "" {
		ring, err := s.load()
		if err == nil {
			fmt.Fprintln(t.out, ring)
		}
		return err
	}
	set, err := readKeySet(path)
	if err != nil {
		return err
	}
	for i, jwk := range set.Keys {
		var k struct{ Kid, Kty, D string }
		_ = json.Unmarshal(jwk, &k) // the keyring has been parsed before
		does := "opens"
		if i == 0 {
			does = "seals, opens"
		}
		kind := "symmetric"
		if k.Kty == "EC" {
			kind = "key pair"
			if k.D == "" {
				kind, does = "public half", "seals only"
			}
		}
		fmt.Fprintf(t.out, "%s  %-11s  %s\n", k.Kid, kind, does)
	}
	return nil
}

func (s *keySource) public(t *terminal) error {
	ring, err := s.load()
	if err != nil {
		return err
	}
	set, err := ring.Public()
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s\n", set)
	return nil
}
