package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/spf13/cobra"
)

// labelFlags are a label as a command line says it.
type labelFlags struct {
	hosts            []string
	subject, purpose string
	expires          string
	json             bool
}

func (f *labelFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.hosts, "host", nil, `who may receive it: "api.example.com", "*.example.com", with ":port" unless 443; repeat for more`)
	cmd.Flags().StringVar(&f.subject, "subject", "", "whose it is")
	cmd.Flags().StringVar(&f.purpose, "purpose", "", "keeps uses apart; empty: for the relay")
	cmd.Flags().StringVar(&f.expires, "expires", "", `"720h" from now, or a time like 2027-01-31T00:00:00Z`)
	cmd.Flags().BoolVar(&f.json, "json", false, "the value is one JSON value, not a text")
}

func (f *labelFlags) label(command string) (tokenvault.Label, error) {
	l := tokenvault.Label{Hosts: f.hosts, Subject: f.subject, Purpose: f.purpose, JSON: f.json}
	if f.expires == "" {
		return l, nil
	}
	if d, err := time.ParseDuration(f.expires); err == nil {
		l.Expires = time.Now().Add(d)
		return l, nil
	}
	at, err := time.Parse(time.RFC3339, f.expires)
	if err != nil {
		return l, &usageError{"tokenvault " + command, "--expires is neither a duration nor a time (RFC 3339)"}
	}
	l.Expires = at
	return l, nil
}

func newSeal(t *terminal, keys *keySource) *cobra.Command {
	var label labelFlags
	var column columnFlags
	cmd := &cobra.Command{
		Use: "seal", Short: "Seal standard input, or a database column", Args: noArguments,
		Long: `Seal standard input, byte for byte as it is (printf, not echo, leaves out the
newline), and print the sealed value. At a terminal the value is asked for and
not shown.

With --column the plaintext values of a table's column are sealed where they
stand. Rows that are sealed already are left alone, rows that change meanwhile
are read again, and the same command goes on after an interruption. Until it is
done readers must accept both: what begins with "tv1." and opens is sealed.`,
		Example: `  printf %s "$PASSWORD" | tokenvault seal --host api.example.com --subject user-17
  TOKENVAULT_DB=postgres://… tokenvault seal --column token --table grants --host api.example.com --subject-column owner`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := label.label("seal")
			if err != nil {
				return err
			}
			if err := column.check("seal", column.column != ""); err != nil {
				return err
			}
			if column.subjectColumn != "" && l.Subject != "" {
				return &usageError{"tokenvault seal", "--subject and --subject-column exclude each other"}
			}
			ring, err := keys.load()
			if err != nil {
				return err
			}
			if column.column != "" {
				return column.seal(cmd.Context(), t, ring, l)
			}
			plaintext, err := t.secret(cmd.Context(), "value: ")
			if err != nil {
				return err
			}
			defer clear(plaintext)
			sealed, err := ring.Seal(cmd.Context(), plaintext, l)
			if err != nil {
				return err
			}
			fmt.Fprintln(t.out, sealed)
			return nil
		},
	}
	label.register(cmd)
	column.register(cmd)
	cmd.Flags().StringVar(&column.subjectColumn, "subject-column", "", "with --column: the column that says whose each row is")
	return cmd
}

func newOpen(t *terminal, keys *keySource) *cobra.Command {
	var use tokenvault.Use
	var yes bool
	cmd := &cobra.Command{
		Use: "open", Short: "Open the sealed value on standard input", Args: noArguments,
		Long: `Open the sealed value on standard input and print its plaintext, as it is. The
value's label must allow the use that the flags name: a value sealed for a
subject or a purpose opens only with it. Before a plaintext is printed to a
terminal you are asked.`,
		Example: "  tokenvault open --subject user-17 < sealed.txt | some-command",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ring, err := keys.load()
			if err != nil {
				return err
			}
			sealed, err := t.value(cmd.Context())
			if err != nil {
				return err
			}
			plaintext, _, err := ring.Open(cmd.Context(), sealed, use)
			if err != nil {
				return err
			}
			defer clear(plaintext)
			if isTerminal(t.out) && !yes {
				agreed, err := t.confirm(cmd.Context(), "Print the plaintext to this terminal?")
				if err != nil {
					return err
				}
				if !agreed {
					return errDeclined
				}
			}
			_, err = t.out.Write(plaintext)
			return err
		},
	}
	cmd.Flags().StringVar(&use.Host, "host", "", "for which host")
	cmd.Flags().StringVar(&use.Subject, "subject", "", "on whose behalf")
	cmd.Flags().StringVar(&use.Purpose, "purpose", "", "for which purpose")
	cmd.Flags().BoolVar(&use.AllowPublic, "allow-public", false, "accept a value made with a public key")
	cmd.Flags().BoolVar(&yes, "yes", false, "print to a terminal without asking")
	return cmd
}

func newInspect(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "inspect", Short: "Show the label of the sealed value on standard input", Args: noArguments,
		Long: "Show what a sealed value says of itself: key id, algorithm and label, as JSON. It\nneeds no key, and proves nothing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			sealed, err := t.value(cmd.Context())
			if err != nil {
				return err
			}
			h, err := tokenvault.Inspect(sealed)
			if err != nil {
				return err
			}
			out := map[string]any{"kid": h.KeyID, "alg": h.Algorithm, "hosts": h.Label.Hosts}
			for name, value := range map[string]string{"subject": h.Label.Subject, "purpose": h.Label.Purpose} {
				if value != "" {
					out[name] = value
				}
			}
			if !h.Label.Expires.IsZero() {
				out["expires"] = h.Label.Expires
				out["expired"] = !time.Now().Before(h.Label.Expires)
			}
			if h.Label.JSON {
				out["json"] = true
			}
			enc := json.NewEncoder(t.out)
			enc.SetIndent("", "  ")
			return enc.Encode(out)
		},
	}
}

// value reads one sealed value; the end of its line is no part of it.
func (t *terminal) value(ctx context.Context) (string, error) {
	b, err := t.read(ctx)
	return strings.TrimRight(string(b), "\r\n"), err
}
