package engine

import "durable/ipc/task"

// AfterRead has fn called each time that a stream has looked into the journal.
func AfterRead(s task.EventStream, fn func()) { s.(*stream).looked = fn }
