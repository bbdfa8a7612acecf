package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"durable/daemon/config"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// daemon: whether it runs, of which version, and what it warns of itself.
func (v *visit) daemon(ctx context.Context) []Finding {
	if v.info == nil {
		return one(v.notRunning())
	}
	var found []Finding
	if v.info.Version != task.Version() {
		remedy := "durablectl restart"
		if s, err := v.registered(ctx); err == nil && s.Installed && s.Version == v.info.Version {
			remedy = s.toThisVersion() // the same one would come back
		}
		found = append(found, warning(remedy, "it runs version %s, durablectl is %s", v.info.Version, task.Version()))
	}
	if v.info.Draining {
		found = append(found, warning("durablectl restart", "it starts no tasks: it is being drained"))
	}
	for _, text := range v.info.Warnings {
		what, remedy, _ := strings.Cut(text, ": ")
		found = append(found, warning(remedy, "%s", what))
	}
	if len(found) == 0 {
		return one(ok("runs, process %d, version %s", v.info.PID, v.info.Version))
	}
	return found
}

func (v *visit) notRunning() Finding {
	e := task.AsError(v.absent)
	if e.Code != task.Unavailable {
		return failed(v.absent, "")
	}
	if _, err := os.Stat(v.Paths.Stopped); err == nil {
		return warning("durablectl restart", "it was stopped on purpose, and does not start by itself")
	}
	return ok("does not run; the first task starts it (durablectl run -- true, or a tool call of an assistant)")
}

// service: whether the daemon is there after a reboot.
func (v *visit) service(ctx context.Context) []Finding {
	switch {
	case v.Paths.Home:
		return one(ok("none: %s is set, and such a daemon is started as needed", socket.EnvHome))
	}
	s, err := v.registered(ctx)
	if err != nil {
		return one(failed(err, "durablectl service status"))
	}
	name := "a service of " + s.Manager
	switch {
	case s.Manager == "":
		return one(ok("this system has no service manager that durable knows"))
	case !s.Installed:
		s.System = os.Geteuid() == 0 // root has none of its own
		return one(warning(s.command("install"), "not installed: after a reboot nothing goes on until somebody asks"))
	case !s.Running:
		return one(failure(s.command("start"), "%s, installed, but it does not run", name))
	case s.Version != "" && s.Version != task.Version():
		return one(warning(s.toThisVersion(), "%s, version %s; durablectl is %s", name, s.Version, task.Version()))
	case !s.Lingers:
		return one(warning("loginctl enable-linger", "%s, but it ends with your last login", name))
	case !s.AtBoot:
		return one(warning(s.command("install"), "%s, but it does not start by itself", name))
	}
	return one(ok("%s, starts at boot", name))
}

// registered is the service; the zero value where there is no such thing.
func (v *visit) registered(ctx context.Context) (Service, error) {
	if v.Service == nil || v.Paths.Home {
		return Service{}, nil
	}
	return v.Service(ctx)
}

// ofPackage is what durablectl leaves to those who brought the service.
var ofPackage = map[string]string{
	"install": "systemctl enable --now durable",
	"start":   "systemctl start durable",
	"upgrade": "apt-get install --only-upgrade durable",
}

// command is what to type for something to be done to the service.
func (s Service) command(verb string) string {
	switch {
	case s.Package && os.Geteuid() == 0:
		return ofPackage[verb]
	case s.Package:
		return "sudo " + ofPackage[verb]
	case !s.System:
		return "durablectl service " + verb
	case os.Geteuid() == 0 || runtime.GOOS == "windows":
		return "durablectl service " + verb + " --system"
	}
	return "sudo durablectl service " + verb + " --system"
}

// toThisVersion is what makes durablectl and the service one version. An upgrade never goes back: the installed durablectl, which is
// newer, is the one to use then.
func (s Service) toThisVersion() string {
	if s.Newer {
		return filepath.Join(s.Programs, executable("durablectl")) + " doctor"
	}
	return s.command("upgrade")
}

// socket: that it is ours, and nobody else may come in.
func (v *visit) socket(context.Context) []Finding {
	path := v.Paths.Socket
	if err := v.Paths.Check(); err != nil {
		return one(failed(err, ""))
	}
	if runtime.GOOS == "windows" {
		return one(ok("%s", path)) // its owner is checked at every dial
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return one(ok("none yet, at %s", path))
	case err != nil:
		return one(failed(err, "ls -l "+path))
	case info.Mode().Type() != fs.ModeSocket:
		return one(failure("move it away", "%s is no socket", path))
	case v.info == nil && task.AsError(v.absent).Code == task.PermissionDenied:
		return one(failed(v.absent, ""))
	case v.info == nil:
		return one(ok("%s, left by a daemon that is gone; the next one takes it over", path))
	}
	return one(private(path, info, v.Paths.System))
}

// private wants the mode that the daemon gives its socket, and an owner to trust.
func private(path string, info fs.FileInfo, system bool) Finding {
	open := info.Mode().Perm() & 0o077
	if system {
		open = info.Mode().Perm() & 0o007
	}
	if open != 0 {
		return failure("chmod go= "+path, "%s has mode %04o: others may come in", path, info.Mode().Perm())
	}
	if owner, known := ownerOf(info); known && owner != os.Geteuid() && owner != 0 && !system {
		return failure("remove it, and find out who made it", "%s belongs to the user with the number %d", path, owner)
	}
	return ok("%s, mode %04o", path, info.Mode().Perm())
}

// config: that the daemon can read its configuration.
func (v *visit) config(context.Context) []Finding {
	path := v.Paths.Config
	if v.info != nil && v.info.Paths.Config != "" {
		path = v.info.Paths.Config
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrPermission) && v.Paths.System {
		return one(ok("%s is the system service's to read", path))
	}
	_, err := config.Load(path)
	if err != nil {
		return one(failed(err, "edit "+path+", then durablectl reload"))
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return one(ok("none at %s: the defaults are in force", path))
	}
	return one(ok("%s", path))
}
