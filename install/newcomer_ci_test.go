//go:build ci && linux

package install_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"durable/ipc/task"
)

// newcomer is somebody with an empty home, where the programs have just been built, in a session of his own.
type newcomer struct {
	*scope
	typed int
}

// newcomers come to a machine that knows nothing of durable.
func (r *rig) newcomer(t *testing.T, name, version string) *newcomer {
	t.Helper()
	r.must(r.do("sh", "useradd", "-m", "-s", "/bin/bash", name))
	n := &newcomer{scope: r.scopes(t, name), typed: 1} // go build -o bin/ ./cmd/...
	n.at("mkdir -p durable && cp -r /opt/" + version + " durable/bin")
	return n
}

// at runs a script in a login of his; the output is both of its streams.
func (n *newcomer) at(script string) string {
	n.t.Helper()
	out, err := n.login(script)
	if err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func (n *newcomer) login(script string) (string, error) {
	return n.do("sh", "systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--uid="+n.user, "--property=PAMName=login",
		"--setenv=TERM=dumb", "--working-directory="+n.home, "bash", "-lc", "exec 2>&1; "+script)
}

// types what a person would, in the folder of the repository, and answers what is asked.
func (n *newcomer) types(command, answers string) string {
	n.t.Helper()
	n.typed++
	return n.at("cd durable; " + onTerminal(command, answers))
}

// onTerminal runs a command, and on a terminal if it asks. script(1) takes two seconds to see that its input has ended: they count.
func onTerminal(command, answers string) string {
	if answers == "" {
		return command
	}
	return "printf '" + answers + "' | script -qec '" + command + "' /dev/null"
}

func (n *newcomer) done(began time.Time) {
	n.t.Helper()
	took := time.Since(began)
	if got := n.task("1"); got.Status != task.StatusCompleted {
		n.t.Errorf("the first task: %s, %+v", got.Status, got.Error)
	}
	n.t.Logf("from an empty home to the first task's end: %d commands typed, the build with them; %.1f s after the build", n.typed, took.Seconds())
	if took > time.Minute {
		n.t.Error("that is more than a minute")
	}
}

// TestCIServiceNewcomer goes by the README's steps, each way to the end of a first task.
func TestCIServiceNewcomer(t *testing.T) {
	r := newRig(t)
	r.build()
	t.Run("terminal", func(t *testing.T) {
		n := r.newcomer(t, "tom", "v1.0.0")
		began := time.Now()
		n.typed++ // export PATH, which lasts as long as its shell
		n.types(`PATH="$PWD/bin:$PATH" durablectl run --wait -- uname -a`, "")
		n.done(began)
	})
	t.Run("setup", func(t *testing.T) {
		n := r.newcomer(t, "sue", "v1.0.0")
		n.at("mkdir .cursor .codex")
		began := time.Now()
		out := n.types("bin/durablectl setup --service user --hosts all --policy ask --first-task yes", "")
		n.done(began)
		if want := `export PATH="/home/sue/.local/bin:$PATH"`; !strings.Contains(out, want) {
			t.Errorf("it does not say how this shell finds durablectl: %s", out)
		}
		if out := n.at("durablectl doctor"); !strings.Contains(out, "all is well") {
			t.Errorf("doctor: %s", out)
		}
	})
	t.Run("questions", func(t *testing.T) { answersNothing(r.newcomer(t, "quentin", "v1.0.0")) })
	t.Run("assistant", func(t *testing.T) { asksAssistant(r.newcomer(t, "ada", "v1.0.0")) })
	t.Run("doctor", func(t *testing.T) { doctorOfUser(r.newcomer(t, "dora", "v1.1.0")) })
	t.Run("doctor of the machine", func(t *testing.T) { doctorOfMachine(t, r) })
}

// answersNothing: whoever takes what is offered has all of it.
func answersNothing(n *newcomer) {
	n.at("mkdir .cursor")
	began := time.Now()
	n.typed++
	n.must(n.do("sh", "systemd-run", "--quiet", "--collect", "--unit=terminal", "--uid="+n.user, "--property=PAMName=login", "--setenv=TERM=xterm-256color",
		"--property=Type=forking", "--working-directory="+n.home+"/durable", "tmux", "new-session", "-d", "-s", "m", "-x", "120", "-y", "60", "bin/durablectl setup; exec cat"))
	screen := func() string {
		out, _ := n.run("tmux", "capture-pane", "-p", "-t", "m")
		return out
	}
	for _, question := range []string{"┃ Should durable's service start", "┃ Which programs shall know", "┃ What may assistants run", "┃ Run a first task", "[Y/n]"} {
		n.until(question, func() bool { return strings.Contains(screen(), question) })
		n.ok("tmux", "send-keys", "-t", "m", "Enter")
	}
	n.until("the end", func() bool { return strings.Contains(screen(), "Next\n") })
	n.done(began)
	if out := n.at("durablectl doctor"); !strings.Contains(out, "all is well") {
		n.t.Errorf("doctor: %s\n%s", out, screen())
	}
}

// asksAssistant: the first task comes over MCP, by the entry that a host was given, and waits for its owner's yes.
func asksAssistant(n *newcomer) {
	t := n.t
	n.at("mkdir .cursor")
	began := time.Now()
	n.types("bin/durablectl mcp add --all", "y\\n")
	var config struct {
		Servers map[string]struct {
			Command string
			Args    []string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal([]byte(n.at("cat .cursor/mcp.json")), &config); err != nil {
		t.Fatal(err)
	}
	entry := config.Servers["durable"]
	calls := strings.ReplaceAll(hostCalls, `"sleep","54321"`, `"uname","-a"`)
	n.typed++ // a sentence to the assistant
	out := n.at("(printf '%s' '" + calls + "'; until durable/bin/durablectl list --json | grep -q awaiting; do sleep 0.1; done) | env -i HOME=$HOME PATH=/usr/bin:/bin USER=$USER " +
		strings.Join(append([]string{entry.Command}, entry.Args...), " "))
	if !strings.Contains(out, "approve") {
		t.Errorf("the answer does not say what to type: %s", out)
	}
	n.types("bin/durablectl approve 1", "y\\n")
	n.types("bin/durablectl wait 1", "")
	n.done(began)
	if got := n.at("durable/bin/durablectl logs 1"); !strings.Contains(got, "Linux") {
		t.Errorf("it printed %s", got)
	}
}

// complaint is a line of doctor that is not ok.
type complaint struct{ Check, Level, Text, Remedy string }

// complaints are what doctor says about one thing.
func (n *newcomer) complaints(bin, check string) (list []complaint) {
	n.t.Helper()
	var report struct{ Findings []complaint }
	if err := json.Unmarshal([]byte(n.at(bin+"/durablectl doctor --json || test $? = 1")), &report); err != nil {
		n.t.Fatal(err)
	}
	for _, f := range report.Findings {
		if f.Check == check && f.Level != "ok" {
			list = append(list, f)
		}
	}
	return list
}

// mends: doctor has one complaint about that, and what it says to type ends it.
func (n *newcomer) mends(what, bin, check, remedy string) {
	n.t.Helper()
	before := n.complaints(bin, check)
	if len(before) != 1 || before[0].Remedy != remedy {
		n.t.Errorf("%s: doctor says %+v, want %s -> %s", what, before, check, remedy)
		return
	}
	answer := map[bool]string{true: "y\\n"}[check == "hosts"] // nothing else asks
	out := n.at("export PATH=" + bin + ":$PATH; " + onTerminal(remedy, answer))
	if after := n.complaints(bin, check); len(after) != 0 {
		n.t.Errorf("%s: %s said %q, and doctor still says %+v", what, remedy, out, after)
	}
}

// The two versions.
const older, newer = "/opt/v1.0.0", "/opt/v1.1.0"

// doctorOfUser: what doctor says to type mends what it complains of.
func doctorOfUser(n *newcomer) {
	t, lib := n.t, n.home+"/.local/lib/durable/current"
	n.at(older + "/durablectl run --wait -- true")
	n.mends("an older daemon", newer, "daemon", "durablectl restart")
	n.at("curl -fsS --unix-socket .local/state/durable/durable.sock -H 'Content-Type: application/json' -d '{}' http://durable/v1/admin/drain")
	n.mends("a daemon that starts nothing", newer, "daemon", "durablectl restart")
	n.mends("no service", older, "service", "durablectl service install")
	n.mends("an older service", newer, "service", "durablectl service upgrade")
	if got := n.complaints(older, "daemon"); len(got) != 1 || got[0].Remedy != lib+"/durablectl doctor" {
		t.Errorf("an older durablectl: %+v", got)
	}
	if got := n.complaints(lib, "daemon"); got != nil {
		t.Errorf("the installed durablectl: %+v", got)
	}

	n.at("systemctl --user stop durable.service")
	n.mends("a service that does not run", newer, "service", "durablectl service start")
	n.at(newer + "/durablectl service stop")
	n.mends("a service that was stopped", newer, "service", "durablectl service start")
	n.at(newer + "/durablectl service stop")
	n.mends("a daemon that was stopped", newer, "daemon", "durablectl restart")
	n.at("systemctl --user disable durable.service")
	n.mends("a service that does not start by itself", newer, "service", "durablectl service install")
	n.at("loginctl disable-linger")
	n.mends("a service that ends with the login", newer, "service", "loginctl enable-linger")

	n.at("mkdir .claude")
	n.mends("a host", newer, "hosts", "durablectl mcp add claude-code")
	n.at("mkdir .cursor .codex")
	n.mends("hosts", newer, "hosts", "durablectl mcp add --all")
	sock := n.home + "/.local/state/durable/durable.sock"
	n.at("chmod 666 " + sock)
	n.mends("a socket that is open to all", newer, "socket", "chmod go= "+sock)
	n.isWell()
}

func (n *newcomer) isWell() {
	n.t.Helper()
	if out := n.at(newer + "/durablectl doctor || true"); !strings.Contains(out, "all is well") {
		n.t.Errorf("in the end: %s", out)
	}
}

// doctorOfMachine: root has no service of its own, and others have to ask for the machine's.
func doctorOfMachine(t *testing.T, r *rig) {
	root := &newcomer{scope: &scope{r, t, "root", "/root", ""}}
	root.mends("no service", newer, "service", "durablectl service install --system")
	if got := root.complaints(newer, "round trip"); got != nil {
		t.Errorf("root is told %+v", got)
	}
	root.at("systemctl disable durable.service")
	root.mends("a service that does not start by itself", newer, "service", "durablectl service install --system")
	member := r.newcomer(t, "mona", "v1.1.0")
	r.must(r.do("sh", "usermod", "-a", "-G", "durable", "mona"))
	member.isWell()
	root.at("systemctl stop durable.service")
	if got := member.complaints(newer, "service"); len(got) != 1 || got[0].Remedy != "sudo durablectl service start --system" {
		t.Errorf("a member is told %+v", got)
	}
	root.mends("a service that does not run", newer, "service", "durablectl service start --system")
	member.isWell()
}
