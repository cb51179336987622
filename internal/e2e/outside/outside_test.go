// Package outside builds a program in a module of its own, outside the
// workspace, that imports every package, as a user's would.
package outside

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const root = "github.com/seed-6d9a6c17/tokenvault"

// modules that users import, by their folder.
var modules = map[string]string{
	"":                       "../../..",
	"/tokenvault/redisstore": "../../../tokenvault/redisstore",
	"/tokenvault/sqlstore":   "../../../tokenvault/sqlstore",
}

func TestAModuleOutsideTheWorkspaceBuilds(t *testing.T) {
	t.Parallel()
	proxy, dir := t.TempDir(), t.TempDir()
	program := "package main\n\nimport (\n"
	requires := ""
	for suffix, folder := range modules {
		publish(t, proxy, root+suffix, folder)
		requires += fmt.Sprintf("require %s%s v0.0.0\n", root, suffix)
		for _, pkg := range packages(t, folder) {
			program += fmt.Sprintf("\t_ %q\n", pkg)
		}
	}
	program += ")\n\nfunc main() {}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/user\n\ngo 1.26.0\n\n"+requires), 0o644))

	cache := strings.TrimSpace(string(goCommand(t, dir, nil, "env", "GOMODCACHE")))
	upstream := strings.TrimSpace(string(goCommand(t, dir, nil, "env", "GOPROXY")))
	env := []string{
		"GOWORK=off", "GOFLAGS=-mod=mod -modcacherw", "GONOSUMDB=" + root + "*", "GONOSUMCHECK=1", "GOMODCACHE=" + t.TempDir(),
		// What the machine has downloaded already need not come over the network again.
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache", "download") + "," + upstream,
	}
	goCommand(t, dir, env, "build", "./...")
	list := goCommand(t, dir, env, "list", "-m", "all")
	require.Contains(t, string(list), root+" v0.0.0\n", "built from the proxy, without a replacement")
}

// publish puts the module in folder into the file proxy as v0.0.0.
func publish(t *testing.T, proxy, path, folder string) {
	t.Helper()
	dir := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	file, err := os.Create(filepath.Join(dir, "v0.0.0.zip"))
	require.NoError(t, err)
	require.NoError(t, zip.CreateFromDir(file, module.Version{Path: path, Version: "v0.0.0"}, folder))
	require.NoError(t, file.Close())
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "v0.0.0.mod"), mod, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "v0.0.0.info"), []byte(`{"Version":"v0.0.0"}`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "list"), []byte("v0.0.0\n"), 0o644))
}

// packages lists the importable packages of the module in folder.
func packages(t *testing.T, folder string) []string {
	t.Helper()
	var out []string
	for _, pkg := range strings.Fields(string(goCommand(t, folder, []string{"GOWORK=off"}, "list", "./..."))) {
		if !strings.Contains(pkg, "/internal/") {
			out = append(out, pkg)
		}
	}
	require.NotEmpty(t, out)
	return out
}

func goCommand(t *testing.T, dir string, env []string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %v: %s", args, stderr.String())
	return out
}
