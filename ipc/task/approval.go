package task

import "fmt"

// ApprovalNotice is what a person has to be told of a task that waits for a yes, in the same words everywhere.
func ApprovalNotice(number uint64) string {
	return fmt.Sprintf("Waiting for your approval. In a terminal: durablectl approve %d (once), durablectl approve %[1]d --always, or durablectl policy allow", number)
}

// String says what e does, such as "run /usr/bin/make in /src".
func (e Effect) String() string {
	switch e.Act {
	case ActRun:
		if e.Folder == "" {
			return "run " + e.Program
		}
		return "run " + e.Program + " in " + e.Folder
	case ActOverwrite:
		return "overwrite " + e.Path
	}
	return e.Act
}
