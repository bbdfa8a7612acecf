package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// Result is what an install or an upgrade came to.
type Result struct {
	Version string `json:"version"`
	// Before is the version that was in force, empty if there was none.
	Before string `json:"before,omitempty"`
	// Changed is false where everything was as it should be already.
	Changed  bool     `json:"changed"`
	Programs string   `json:"programs"`
	Links    []string `json:"links,omitempty"`
	Status   Status   `json:"status"`
}

// Install makes the service what opts say, starts it, and returns when its daemon answers. Over an older version it is an upgrade;
// what is as it should be is left alone. If it fails, what was there before is there again.
func (s *Service) Install(ctx context.Context) (Result, error) {
	before, err := s.Status(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := s.allowed("install"); err != nil {
		return Result{}, err
	}
	return s.put(ctx, before)
}

// Upgrade is Install for a service that is installed already: it keeps how that is set up.
func (s *Service) Upgrade(ctx context.Context) (Result, error) {
	before, err := s.installed(ctx, "upgrade")
	if err != nil {
		return Result{}, err
	}
	s.opts.Socket = s.opts.Socket || before.ownSocket
	return s.put(ctx, before)
}

// installed refuses what needs a service of ours where there is none.
func (s *Service) installed(ctx context.Context, verb string) (Status, error) {
	st, err := s.Status(ctx)
	switch {
	case err != nil:
		return st, err
	case !st.Installed:
		return st, task.Errorf(task.FailedPrecondition, "the service is not installed").WithHint("durablectl service install%s", s.flag())
	case st.Package:
		return st, task.Errorf(task.FailedPrecondition, "the service was installed by a package").
			WithHint("%s it with the package manager", verb)
	}
	return st, s.allowed(verb)
}

func (s *Service) flag() string {
	if s.opts.System {
		return " --system"
	}
	return ""
}

// put does the work of both. First everything is looked at, then done, with a way back from each step.
func (s *Service) put(ctx context.Context, before Status) (Result, error) {
	src, err := findSource(ctx, s.opts.From)
	if err != nil {
		return Result{}, err
	}
	if err := s.manager.check(ctx); err != nil {
		return Result{}, err
	}
	if err := s.mayReplace(ctx, src); err != nil {
		return Result{}, err
	}
	res := Result{Version: src.version, Before: s.home.version()}
	old := s.home.inForce()
	var undos undoing
	if err := s.arrange(ctx, src, before, &undos); err != nil {
		undos.run()
		return Result{}, err
	}
	res.Links = s.home.link()
	for _, link := range res.Links {
		s.opts.Say("linked %s", link)
	}
	now := s.home.inForce()
	res.Changed = old != now || !before.Installed || !before.Running
	res.Programs = s.home.current()
	if old != "" && old != now {
		s.home.prune(now, old)
	}
	res.Status, err = s.Status(ctx)
	return res, err
}

// arrange takes the steps.
func (s *Service) arrange(ctx context.Context, src source, before Status, undos *undoing) error {
	if s.opts.System {
		if err := makeAccount(ctx, s.opts.Say); err != nil {
			return err
		}
	} else if err := os.MkdirAll(s.paths.State, 0o700); err != nil { // launchd opens the log there before there is a daemon
		return explain("make "+s.paths.State, err)
	}
	old := s.home.inForce()
	dir, undo, err := s.home.put(src)
	if err != nil {
		return err
	}
	undos.add(undo)
	first := s.running(ctx, before)
	changing := false
	undos.add(func() { // once the link and the unit are as they were: that is why it is added before those are touched
		if changing {
			s.bringBack(context.WithoutCancel(ctx), before, first)
		}
	})
	undo, err = s.manager.register(ctx)
	if err != nil {
		return err
	}
	undos.add(undo)
	if undo, err = s.home.turn(dir); err != nil {
		return err
	}
	undos.add(undo)
	if before.Running && old == dir && before.ownSocket == s.opts.Socket && (first == nil || first.Version == src.version) {
		return s.answers(ctx, nil, src.version)
	}
	changing = true
	if err := s.change(ctx, before, first, src.version); err != nil {
		if !before.up() { // one that was stopped on purpose stays stopped
			_ = s.manager.stop(context.WithoutCancel(ctx))
		}
		return err
	}
	return nil
}

// bringBack has the daemon run again that an install has told to leave before it failed: the service's, or one that somebody had started.
func (s *Service) bringBack(ctx context.Context, before Status, first *task.Info) {
	switch {
	case before.up() && before.ownSocket == s.opts.Socket:
		s.opts.Say("the version before is started again")
		_ = s.manager.restart(ctx)
	case before.up():
		s.opts.Say("the version before is started again")
		_ = s.manager.stop(ctx) // the socket may have to come first
		_ = s.manager.start(ctx)
	case first == nil || s.running(ctx, before) != nil: // it has not left
	case s.opts.System:
		s.opts.Say("warning: the daemon that ran (pid %d) has left, and is not started again", first.PID)
	default:
		if err := s.detach(ctx); err != nil {
			s.opts.Say("warning: the daemon that ran (pid %d) has left, and does not start again: %v", first.PID, err)
			return
		}
		s.opts.Say("a daemon runs again in the place of the one that left")
	}
}

// change has the new daemon take over from the one that runs, whoever started that: programs live on, and jobs go on where they were.
func (s *Service) change(ctx context.Context, before Status, first *task.Info, version string) error {
	var err error
	switch {
	case before.Running && before.ownSocket == s.opts.Socket:
		s.hold(ctx, first)
		err = s.manager.restart(ctx)
	case before.Running:
		if err = s.manager.stop(ctx); err == nil {
			err = s.manager.start(ctx)
		}
	default:
		if first != nil {
			if err := s.dismiss(ctx, *first); err != nil {
				return err
			}
		}
		if before.starting() { // to start it would be to wait for the version before
			err = s.manager.stop(ctx)
		}
		if err == nil {
			err = s.manager.start(ctx)
		}
	}
	if err != nil {
		return err
	}
	return s.answers(ctx, first, version)
}

// mayReplace refuses a version that is older than the one in force, and one that cannot read the store.
func (s *Service) mayReplace(ctx context.Context, src source) error {
	old := s.home.inForce()
	if old == "" {
		return nil
	}
	have, want := schemaOf(ctx, s.home.program("durabled")), schemaOf(ctx, s.sourceProgram(src))
	if want < have {
		return task.Errorf(task.FailedPrecondition, "durable %s reads stores up to schema %d, and the installed %s has made schema %d of yours: nothing was changed",
			src.version, want, versionOf(old), have).
			WithHint("the way back: durablectl service stop%[2]s, move the store's files in %[1]s away (store.db and the marker beside it), "+
				"%[4]s durabled restore %[3]s with the older programs, then install again with --downgrade; "+
				"what was done since that copy is lost", s.paths.State, s.flag(), typed(wayBack(s.paths.State, want)), s.owning())
	}
	if !s.opts.Downgrade && Older(src.version, versionOf(old)) {
		return task.Errorf(task.FailedPrecondition, "durable %s is older than the installed %s: nothing was changed", src.version, versionOf(old)).
			WithHint("--downgrade installs it all the same: it can read the store")
	}
	return nil
}

// wayBack is the newest copy that a program which knows schemas up to this one can read, of those that the daemon has kept.
func wayBack(state string, schema int) string {
	name := func(n int) string { return filepath.Join(state, fmt.Sprintf("store.db.schema%d.bak", n)) }
	for n := schema; n > 0; n-- {
		if _, err := os.Stat(name(n)); err == nil {
			return name(n)
		}
	}
	return name(schema)
}

// owning is how a person types what comes before a program that is to work in the state folder: as the folder's owner, who could not
// read what root makes there.
func (s *Service) owning() string {
	home := socket.EnvHome + "=" + typed(s.paths.State)
	if !s.opts.System || accountName == "" {
		return home
	}
	return "sudo -u " + accountName + " env " + home
}

// typed is a path as one types it in a shell.
func typed(path string) string {
	if strings.Contains(path, " ") {
		return `"` + path + `"`
	}
	return path
}

func (s *Service) sourceProgram(src source) string {
	return src.dir + string(os.PathSeparator) + exe("durabled")
}

// Older compares releases; what is no release is neither older nor newer.
func Older(version, than string) bool {
	canonical := func(v string) string { return "v" + strings.TrimPrefix(v, "v") }
	a, b := canonical(version), canonical(than)
	return semver.IsValid(a) && semver.IsValid(b) && semver.Compare(a, b) < 0
}

// schemaOf asks a daemon's program which schema it writes; one that does not know the question writes the first.
func schemaOf(ctx context.Context, program string) int {
	out, err := exec.CommandContext(ctx, program, "schema").Output()
	n, bad := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || bad != nil {
		return 1
	}
	return n
}
