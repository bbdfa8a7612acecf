//go:build unix

package environ

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// complete fills in what a service's environment may lack, from the user database.
func complete(vars map[string]string) map[string]string {
	u, err := user.Current()
	if err != nil {
		u = &user.User{}
	}
	for name, value := range map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username, "SHELL": passwdShell(u.Uid)} {
		if vars[name] == "" && value != "" {
			vars[name] = value
		}
	}
	return vars
}

// passwdShell looks up the login shell of a user; empty: there is no telling. Users of macOS are not in the file,
// but launchd sets SHELL.
func passwdShell(uid string) string {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 7 && f[2] == uid {
			return f[6]
		}
	}
	return ""
}

// findShell returns the shell to ask: empty for a user who must not log in.
func findShell(given string, vars map[string]string) string {
	for _, shell := range []string{given, vars["SHELL"], "/bin/sh"} {
		if slices.Contains([]string{"nologin", "false"}, filepath.Base(shell)) {
			return ""
		}
		if filepath.IsAbs(shell) && unix.Access(shell, unix.X_OK) == nil {
			return shell
		}
	}
	return ""
}

// ask has shell print its environment.
func ask(ctx context.Context, shell string, vars map[string]string) (map[string]string, error) {
	// The two halves of the mark are one only in what is printed: a shell puts the last argument of a command into the
	// environment, as $_.
	half, other := rand.Text(), rand.Text()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command(shell, "-lic", fmt.Sprintf("printf %%s%%s %s %s; /usr/bin/env -0; printf %%s%%s %s %s", half, other, half, other))
	cmd.Stdout = w // stdin and stderr are /dev/null
	cmd.Env = shellEnv(vars)
	cmd.Dir = "/"
	if info, err := os.Stat(vars["HOME"]); err == nil && info.IsDir() {
		cmd.Dir = vars["HOME"]
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	text, err := between(r, []byte(half+other))
	stop() // from here on the deadline is endGroup's
	endGroup(cmd.Process.Pid, r)
	_ = cmd.Wait() // how it ended says nothing: we may have killed it
	if err != nil {
		return nil, err
	}
	return parse(text, vars)
}

// endGrace is how long the shell's group may take to end: profiles hold locks that they give back when they are told to
// end, and not when they are killed (pyenv's keeps every later shell waiting for a minute).
var endGrace = 2 * time.Second

// endGroup ends what is left of a shell. It must not have been reaped: only as long is the number that of its group.
func endGroup(pid int, r *os.File) {
	_ = unix.Kill(-pid, unix.SIGTERM)
	_ = unix.Kill(pid, unix.SIGHUP) // an interactive shell ignores the other
	_ = r.SetReadDeadline(time.Now().Add(endGrace))
	_, _ = io.Copy(io.Discard, r) // its end: all who could write are gone
	_ = unix.Kill(-pid, unix.SIGKILL)
}

// shellEnv is what the shell begins with.
func shellEnv(vars map[string]string) []string {
	var env []string
	for name, value := range vars {
		if !private(name) {
			env = append(env, name+"="+value)
		}
	}
	if vars["TERM"] == "" {
		env = append(env, "TERM=dumb")
	}
	return append(env, resolving+"=1")
}

// maxEnviron bounds what the shell may print between the marks: more than the kernel lets a program have.
const maxEnviron = 8 << 20

// between returns what r has between two marks, and reads no further.
func between(r io.Reader, mark []byte) ([]byte, error) {
	var buf []byte
	chunk := make([]byte, 32<<10)
	inside := false
	for {
		n, err := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if !inside {
			if at := bytes.Index(buf, mark); at >= 0 {
				buf, inside = buf[at+len(mark):], true
			} else {
				buf = buf[max(0, len(buf)-len(mark)+1):] // a mark may have begun there
			}
		}
		if inside {
			if at := bytes.Index(buf, mark); at >= 0 {
				return buf[:at], nil
			}
		}
		switch {
		case len(buf) > maxEnviron:
			return nil, fmt.Errorf("it printed more than %d bytes", maxEnviron)
		case errors.Is(err, io.EOF) && inside:
			return nil, errors.New("it ended while it printed its environment")
		case errors.Is(err, io.EOF):
			return nil, errors.New("it ended before it printed its environment")
		case err != nil:
			return nil, err
		}
	}
}

// passing is what belongs to the shell that was asked, and to nobody after it.
var passing = []string{"_", "SHLVL", "PWD", "OLDPWD", resolving}

func parse(text []byte, began map[string]string) (map[string]string, error) {
	vars := table(strings.Split(string(text), "\x00"))
	for _, name := range passing {
		delete(vars, name)
	}
	if began["TERM"] == "" && vars["TERM"] == "dumb" {
		delete(vars, "TERM")
	}
	if vars["PATH"] == "" {
		return nil, errors.New("it printed no PATH")
	}
	return vars, nil
}
