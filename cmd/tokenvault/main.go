// Command tokenvault makes and rotates keys, seals and opens values, reseals
// what is stored, and runs the relay as a sidecar.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes, as the help says them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) }) // the second one ends it at once
	redis.SetLogger(silence{})
	t := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(run(ctx, t, os.Args[1:]))
}

// run is the program without its process.
func run(ctx context.Context, t *terminal, args []string) int {
	root := newRoot(t)
	root.SetArgs(args)
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(t.err, "tokenvault: %v (see %s --help)\n", err, usage.command)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(t.err, "tokenvault: interrupted: run the same command again to go on where it stopped")
		return exitInterrupted
	}
	fmt.Fprintf(t.err, "tokenvault: %s\n", oneLine(err))
	return exitFailed
}

// usageError is a command that was written wrongly.
type usageError struct {
	command string
	problem string
}

func (e *usageError) Error() string { return e.problem }

func oneLine(err error) string {
	return strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", ": "), "tokenvault: ")
}

const rootHelp = `Seal credentials, rotate the keys they are sealed under, and run the relay.

KEYS come from a file or the environment, never from an argument, which other
users of the machine could read: --keyring FILE, or TOKENVAULT_KEYRING_FILE, or
the JWK Set itself in TOKENVAULT_KEYRING. A keyring file must be readable by
its owner only (0600).

EXIT STATUS
  0  done
  1  failed; one line on standard error says why, and nothing was changed
     beyond what it says
  2  wrong usage
  3  interrupted; what was done is kept, the same command goes on

ENVIRONMENT
  TOKENVAULT_KEYRING_FILE  path of the keyring
  TOKENVAULT_KEYRING       the keyring itself (JWK Set)
  TOKENVAULT_DB            address of the database, where it holds a password`

func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use: "tokenvault", Short: "Seal credentials, rotate keys, run the relay", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys := &keySource{}
	root.PersistentFlags().StringVar(&keys.file, "keyring", "", "keyring file (0600)")
	root.SetFlagErrorFunc(flagProblem)
	root.AddCommand(
		newKeygen(t), newKeyring(t, keys), newSeal(t, keys), newOpen(t, keys), newInspect(t),
		newReseal(t, keys), newRelay(t, keys),
	)
	return root
}

// flagProblem is a wrong flag without the words around it: one could be a key.
func flagProblem(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	problem := "unknown flag"
	switch {
	case errors.As(err, &value):
		problem = "invalid value for --" + value.GetFlag().Name
	case errors.As(err, &missing):
		problem = "--" + missing.GetFlag().Name + " needs a value"
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		problem = "unknown flag: --" + unknown.GetSpecifiedName()
	}
	return &usageError{cmd.CommandPath(), problem}
}

// noArguments refuses stray words without repeating them: one could be a key.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return &usageError{cmd.CommandPath(), "no such command"}
	}
	return &usageError{cmd.CommandPath(), "it takes no arguments: values are read from standard input"}
}

// exactly is noArguments for commands that take n of them.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &usageError{cmd.CommandPath(), "it takes " + what}
	}
}

// maxInput bounds what is read as one value or one keyring.
const maxInput = 1 << 20

func readAll(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("the input is longer than %d bytes", most)
	}
	return b, nil
}
