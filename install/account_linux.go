package install

import (
	"context"
	"os/user"

	"durable/ipc/task"
)

// accountName is that of the user and of the group of the system's service.
const accountName = Name

// makeAccount makes the user and the group of the system's service, as packages do, unless they are there. They stay at an uninstall: a
// number that another user gets later would own what was left.
func makeAccount(ctx context.Context, say func(string, ...any)) error {
	if _, err := user.LookupGroup(Name); err != nil {
		if _, err := run(ctx, "groupadd", "--system", Name); err != nil {
			return accountError("group", err)
		}
		say("made the group %s: its members may use the service", Name)
	}
	if _, err := user.Lookup(Name); err == nil {
		return nil
	}
	if _, err := run(ctx, "useradd", "--system", "--gid", Name, "--home-dir", "/var/lib/durable", "--no-create-home",
		"--shell", "/usr/sbin/nologin", "--comment", "durable", Name); err != nil {
		return accountError("user", err)
	}
	say("made the user %s: jobs run as it", Name)
	return nil
}

func accountError(what string, err error) error {
	return task.Errorf(task.FailedPrecondition, "make the %s %s: %w", what, Name, err).
		WithHint("make it yourself, without a login, then again")
}
