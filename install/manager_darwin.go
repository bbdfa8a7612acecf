package install

import (
	"os"
	"path/filepath"

	"durable/ipc/task"
)

func newManager(s *Service) (manager, error) {
	if s.opts.System {
		return &launchd{s, "/Library/LaunchDaemons/" + Name + ".plist"}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "this user has no home folder").WithHint("set HOME")
	}
	return &launchd{s, filepath.Join(home, "Library", "LaunchAgents", Name+".plist")}, nil
}
