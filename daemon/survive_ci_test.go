//go:build linux && ci

package daemon_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"durable/ipc/socket"
)

// buildPrograms builds durabled and durable-shim into dir, as a build of its own kind.
func buildPrograms(t *testing.T, dir, ldflags string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-ldflags", ldflags, "-o", dir+string(filepath.Separator),
		"durable/cmd/durabled", "durable/cmd/durable-shim").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestCICommandsOutliveAnUpgrade is TestCommandsOutliveTheDaemon with the real programs, all of which another build
// replaces while the commands run: the old shims work with the new daemon.
func TestCICommandsOutliveAnUpgrade(t *testing.T) {
	dir, bin := shortDir(t), t.TempDir()
	builds := []string{t.TempDir(), t.TempDir()}
	buildPrograms(t, builds[0], "")
	buildPrograms(t, builds[1], "-s -w")
	install := func(build string) {
		for _, name := range []string{"durabled", "durable-shim"} {
			tmp := filepath.Join(bin, name+".new")
			b, err := os.ReadFile(filepath.Join(build, name))
			if err == nil {
				err = os.WriteFile(tmp, b, 0o755)
			}
			if err == nil {
				err = os.Rename(tmp, filepath.Join(bin, name))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	run := func() *process {
		p := command(t, filepath.Join(bin, "durabled"), "run", "--slots", "200")
		p.cmd.Env = append(os.Environ(), socket.EnvHome+"="+dir, socket.EnvSocket+"=")
		p.begin()
		if !p.listens(dir) {
			t.Fatalf("the daemon has gone (%v):\n%s", p.err, p.stderr.String())
		}
		return p
	}
	install(builds[0])
	p := run()
	f := newFleet(t, dir)
	const commands, rounds = 100, 4
	f.launch(commands)
	round := 0
	slowest := outlive(t, f, func() *process {
		round++
		p.kill()
		install(builds[round%2])
		p = run()
		return p
	}, rounds)
	f.release(1)
	f.check(1)
	t.Logf("%d commands, %d upgrades by SIGKILL: adopted in %s at the most", commands, rounds, slowest)
}
