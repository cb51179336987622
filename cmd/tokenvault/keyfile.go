package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// keySource is where the keyring comes from.
type keySource struct{ file string }

// path is the keyring's file, "" if the environment holds the keyring itself.
func (s *keySource) path() string {
	if s.file != "" {
		return s.file
	}
	return os.Getenv("TOKENVAULT_KEYRING_FILE")
}

var errNoKeyring = errors.New("no keyring: give --keyring FILE, or set TOKENVAULT_KEYRING_FILE or TOKENVAULT_KEYRING")

// load returns the keyring.
func (s *keySource) load() (*tokenvault.Keyring, error) {
	text := []byte(os.Getenv("TOKENVAULT_KEYRING"))
	if path := s.path(); path != "" {
		var err error
		if text, err = readKeyFile(path); err != nil {
			return nil, err
		}
	}
	if len(text) == 0 {
		return nil, errNoKeyring
	}
	return tokenvault.ParseKeyring(text)
}

// readKeyFile refuses a file that others can read.
func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, plain(err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read this file (mode %04o): chmod 600 it", path, mode.Perm())
	}
	return readAll(file, maxInput)
}

// plain is a file error without the name of the system call.
func plain(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("%s: %w", pathError.Path, pathError.Err)
	}
	return err
}

// keySet is a keyring file as it is edited: keys are kept byte for byte.
type keySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// readKeySet also proves that the file is a good keyring.
func readKeySet(path string) (*keySet, error) {
	text, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := tokenvault.ParseKeyring(text); err != nil {
		return nil, err
	}
	var set keySet
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("the keyring is not JSON")
	}
	if set.Keys == nil { // a single key
		set.Keys = []json.RawMessage{text}
	}
	return &set, nil
}

// write replaces the file at once, or not at all; before it does it proves that
// what is written is a good keyring.
func (s *keySet) write(path string, mustBeNew bool) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if _, err := tokenvault.ParseKeyring(text); err != nil {
		return err
	}
	return writeSecretFile(path, text, mustBeNew)
}

// writeSecretFile makes path with mode 0600, durably. A reader sees the old
// content or the new one, never a part.
func writeSecretFile(path string, text []byte, mustBeNew bool) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".tokenvault-*") // mode 0600
	if err != nil {
		return plain(err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return plain(err)
	}
	if mustBeNew {
		err = os.Link(temp.Name(), path) // fails if path exists
	} else {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		var linkError *os.LinkError
		if errors.As(err, &linkError) {
			return fmt.Errorf("%s: %w", path, linkError.Err)
		}
		return plain(err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return plain(err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// kid reads a key's id.
func kid(jwk json.RawMessage) string {
	var k struct {
		Kid string `json:"kid"`
	}
	_ = json.Unmarshal(jwk, &k) // the keyring has been parsed before
	return k.Kid
}
