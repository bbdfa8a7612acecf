package install

import (
	"errors"
	"testing"

	"durable/ipc/task"
)

// TestFolderOfAnotherUser: what somebody else could change, or what leads elsewhere, is not taken for the service's folder.
func TestFolderOfAnotherUser(t *testing.T) {
	const anna = "S-1-5-21-1111111111-2222222222-3333333333-1001"
	for name, test := range map[string]struct {
		found
		root, below error // nil: it is taken
	}{
		"the system's":              {found{owner: "S-1-5-18", folder: true}, nil, nil},
		"the service's":             {found{owner: "S-1-5-19", folder: true}, nil, nil},
		"the administrators'":       {found{owner: "S-1-5-32-544", folder: true}, nil, nil},
		"a user's":                  {found{owner: anna, folder: true}, task.PermissionDenied, task.PermissionDenied},
		"the users'":                {found{owner: "S-1-5-32-545", folder: true}, task.PermissionDenied, task.PermissionDenied},
		"everybody's":               {found{owner: "S-1-1-0", folder: true}, task.PermissionDenied, task.PermissionDenied},
		"another service's":         {found{owner: "S-1-5-20", folder: true}, task.PermissionDenied, task.PermissionDenied},
		"nobody's":                  {found{folder: true}, task.PermissionDenied, task.PermissionDenied},
		"a file":                    {found{owner: "S-1-5-18"}, task.FailedPrecondition, nil},
		"a user's file":             {found{owner: anna}, task.FailedPrecondition, task.PermissionDenied},
		"a link to a folder":        {found{owner: "S-1-5-18", link: true, folder: true}, task.FailedPrecondition, nil},
		"a user's link to a folder": {found{owner: anna, link: true, folder: true}, task.FailedPrecondition, task.PermissionDenied},
	} {
		for where, is := range map[string][2]error{"as the folder": {test.judgeRoot(), test.root}, "in it": {test.judge(), test.below}} {
			got, want := is[0], is[1]
			if (got == nil) != (want == nil) || want != nil && (!errors.Is(got, want) || task.AsError(got).Hint == "") {
				t.Errorf("%s, %s: %v, want %v with a hint", name, where, got, want)
			}
		}
	}
}
