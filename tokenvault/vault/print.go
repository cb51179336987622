package vault

import (
	"fmt"
	"io"
)

// Format prints the provider's name, whatever the verb: beside it stands a
// client secret.
func (p Provider) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.Provider("+p.Name+")") }

// Format prints nothing of what the vault holds, whatever the verb.
func (*Vault) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.Vault") }

// Format prints nothing of the grant's row.
func (*transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.Transport") }

// Format prints nothing of the grant's row.
func (*tokenSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.TokenSource") }

// Format keeps plaintext out of whatever prints a grant by mistake.
func (*grant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.grant") }
