package install

import (
	"context"
	"os/user"
	"path/filepath"
	"strconv"

	"durable/ipc/socket"
	"durable/ipc/task"
)

// The numbers that macOS keeps for the users of services.
const leastID, mostID = 200, 400

// accountName is that of the user and of the group of the system's service.
const accountName = launchdUser

// makeAccount makes the user and the group of the system's service, and his folders, unless they are there. The user stays at an
// uninstall: a number that another user gets later would own what was left.
func makeAccount(ctx context.Context, say func(string, ...any)) error {
	if err := makeUser(ctx, say); err != nil {
		return err
	}
	paths := socket.SystemPaths()
	for _, folder := range []struct{ dir, mode string }{
		{paths.State, "0700"}, // members of the group may connect, and no more
		{filepath.Dir(paths.Socket), "0750"},
	} {
		if _, err := run(ctx, "install", "-d", "-o", launchdUser, "-g", launchdUser, "-m", folder.mode, folder.dir); err != nil {
			return explain("make "+folder.dir, err)
		}
	}
	return nil
}

func makeUser(ctx context.Context, say func(string, ...any)) error {
	if _, err := user.Lookup(launchdUser); err == nil {
		return nil
	}
	id := ""
	for n := leastID; n < mostID && id == ""; n++ {
		if _, err := user.LookupId(strconv.Itoa(n)); err == nil {
			continue
		}
		if _, err := user.LookupGroupId(strconv.Itoa(n)); err != nil {
			id = strconv.Itoa(n)
		}
	}
	if id == "" {
		return task.Errorf(task.ResourceExhausted, "make the user %s: no number below %d is free", launchdUser, mostID)
	}
	group, account := "/Groups/"+launchdUser, "/Users/"+launchdUser
	for _, args := range [][]string{
		{group}, {group, "PrimaryGroupID", id}, {group, "RealName", "durable"},
		{account}, {account, "UniqueID", id}, {account, "PrimaryGroupID", id}, {account, "RealName", "durable"},
		{account, "UserShell", "/usr/bin/false"}, {account, "NFSHomeDirectory", "/var/lib/durable"}, {account, "IsHidden", "1"},
	} {
		if _, err := run(ctx, "dscl", append([]string{".", "-create"}, args...)...); err != nil {
			return task.Errorf(task.FailedPrecondition, "make the user %s: %w", launchdUser, err)
		}
	}
	say("made the user %s: jobs run as it, and members of its group may use the service", launchdUser)
	return nil
}
