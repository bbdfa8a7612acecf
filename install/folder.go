package install

import (
	"slices"

	"durable/ipc/task"
)

// folderAccess is the descriptor of the system service's folder on Windows, and of all in it: the system, the administrators and
// LocalService, as which the service runs, may do anything, nobody else may even look, and nothing is inherited from ProgramData, where
// every user may make files. Who uses the service finds it by the name of its pipe.
const folderAccess = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;LS)"

// folderOwners are those three. It is a variable for tests only.
var folderOwners = []string{"S-1-5-18", "S-1-5-32-544", "S-1-5-19"}

// found is what is where the folder has to be, or in it.
type found struct {
	path         string
	owner        string // the number of an account
	link, folder bool
}

// judgeRoot refuses what cannot be that folder. A link would lead the service elsewhere, today or after it was turned. One that is deeper
// is a job's, and nothing of the service goes by it.
func (f found) judgeRoot() error {
	switch {
	case f.link:
		return task.Errorf(task.FailedPrecondition, "%s is a link: the service's files would be wherever it leads", f.path).
			WithHint("move it away, then again")
	case !f.folder:
		return task.Errorf(task.FailedPrecondition, "%s is no folder", f.path).WithHint("move it away, then again")
	}
	return f.judge()
}

// judge refuses what somebody else owns: an owner may do with it what he likes, whatever its list says. Were it the configuration, he
// could have the service run his commands.
func (f found) judge() error {
	if slices.Contains(folderOwners, f.owner) {
		return nil
	}
	return task.Errorf(task.PermissionDenied, "%s belongs to another user (%s), who could have the service run his commands", f.path, f.owner).
		WithHint(`move it away; or, if all in it is as it should be, make it the administrators': takeown /A /F "%s"; then again`, f.path)
}
