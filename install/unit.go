package install

import (
	"fmt"
	"strings"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// mark is in the first line of what we write, so that nothing of somebody else's is ever replaced.
const mark = "durablectl service install"

// statusStopped is the status with which a service's daemon leaves when a person has stopped it: systemd, which restarts it after any
// other end, must not.
const statusStopped = task.ExitStopped

// Unit returns the text of a systemd unit that runs the daemon at program: a user's own, or the system's.
func Unit(program string, system, withSocket bool) (string, error) {
	quoted, err := quoteExec(program)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by %s, which writes it anew; what you want changed belongs into: systemctl edit", mark)
	line("[Unit]")
	line("Description=durable: background jobs that outlive who started them")
	line("StartLimitIntervalSec=0")
	if system {
		line("After=network.target local-fs.target")
	}
	if withSocket {
		line("Wants=%s.socket", Name)
		line("After=%s.socket", Name)
	}
	line("")
	line("[Service]")
	line("Type=notify")
	flags := "--lives service"
	if system {
		flags = "--system " + flags
	}
	line("ExecStart=%s run %s", quoted, flags)
	line("ExecReload=/bin/kill -HUP $MAINPID")
	line("Restart=always")
	line("RestartSec=1")
	line("RestartPreventExitStatus=%d", statusStopped)
	line("SuccessExitStatus=%d", statusStopped)
	line("KillMode=process")
	line("OOMPolicy=continue")
	line("Delegate=yes")
	line("TasksMax=infinity")
	line("TimeoutStartSec=infinity") // it is ready when its store is, which may have to be migrated first
	line("TimeoutStopSec=30")
	if system {
		line("User=%s", Name)
		line("Group=%s", Name)
		line("UMask=0077")
		line("StateDirectory=%s", Name)
		line("StateDirectoryMode=0700")
		line("RuntimeDirectory=%s", Name)
		line("RuntimeDirectoryMode=0750")
		line("RuntimeDirectoryPreserve=yes")
		line("ConfigurationDirectory=%s", Name)
		line("NoNewPrivileges=yes")
	}
	line("")
	line("[Install]")
	line("WantedBy=%s", wantedBy(system))
	return b.String(), nil
}

func wantedBy(system bool) string {
	if system {
		return "multi-user.target"
	}
	return "default.target" // multi-user.target is unknown to a user's manager: the service would never start
}

// SocketUnit returns the text of the unit with which systemd holds the socket while the daemon restarts.
func SocketUnit(paths socket.Paths, system bool) (string, error) {
	path, err := escapeValue(paths.Socket)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by %s, which writes it anew", mark)
	line("[Unit]")
	line("Description=durable: the socket")
	line("")
	line("[Socket]")
	line("ListenStream=%s", path)
	if system {
		line("SocketUser=%s", Name)
		line("SocketGroup=%s", Name)
		line("SocketMode=0660")
		line("DirectoryMode=0755")
	} else {
		line("SocketMode=0600")
		line("DirectoryMode=0700")
	}
	line("RemoveOnStop=yes")
	line("")
	line("[Install]")
	line("WantedBy=sockets.target")
	return b.String(), nil
}

// quoteExec quotes a program for ExecStart. systemd refuses quotes and backslashes in the name of a program, however they are written.
func quoteExec(path string) (string, error) {
	value, err := escapeValue(path)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(value, `"'\`) {
		return "", unregistrable(path)
	}
	if strings.ContainsAny(value, " ;") {
		value = `"` + value + `"`
	}
	return value, nil
}

// escapeValue refuses what a line of a unit cannot hold, nor the library's templates.
func escapeValue(path string) (string, error) {
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) || strings.Contains(path, "{{") {
		return "", unregistrable(path)
	}
	return strings.ReplaceAll(path, "%", "%%"), nil
}

func unregistrable(path string) error {
	return task.Errorf(task.InvalidArgument, "the path %q has characters that a service's registration cannot hold", path).
		WithHint("choose another folder")
}
