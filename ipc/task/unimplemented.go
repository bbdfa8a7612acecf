package task

import (
	"context"
	"io"
	"time"
)

// UnimplementedService answers [Unimplemented] to everything. A Service embeds it, so that a method
// that is added to the interface later has an honest answer there.
type UnimplementedService struct{}

var _ Service = UnimplementedService{}

func unimplemented(what string) *Error {
	return Errorf(Unimplemented, "%s: this service cannot do that", what).
		WithHint("a newer durabled may: durablectl version shows both sides")
}

func (UnimplementedService) Info(context.Context) (Info, error) {
	return Info{}, unimplemented("info")
}
func (UnimplementedService) Kinds(context.Context) ([]KindInfo, error) {
	return nil, unimplemented("kinds")
}
func (UnimplementedService) Stats(context.Context) (Stats, error) {
	return Stats{}, unimplemented("stats")
}
func (UnimplementedService) Submit(context.Context, Spec, Key) (Task, error) {
	return Task{}, unimplemented("submit")
}
func (UnimplementedService) Get(context.Context, Ref) (Task, error) {
	return Task{}, unimplemented("get")
}
func (UnimplementedService) List(context.Context, ListQuery) (TaskList, error) {
	return TaskList{}, unimplemented("list")
}
func (UnimplementedService) Wait(context.Context, Ref, time.Duration) (Task, error) {
	return Task{}, unimplemented("wait")
}
func (UnimplementedService) Events(context.Context, EventQuery) (EventStream, error) {
	return nil, unimplemented("events")
}
func (UnimplementedService) Cancel(context.Context, Ref, CancelRequest, Key) (Task, error) {
	return Task{}, unimplemented("cancel")
}
func (UnimplementedService) Pause(context.Context, Ref, Key) (Task, error) {
	return Task{}, unimplemented("pause")
}
func (UnimplementedService) Resume(context.Context, Ref, Key) (Task, error) {
	return Task{}, unimplemented("resume")
}
func (UnimplementedService) Retry(context.Context, Ref, RetryRequest, Key) (Task, error) {
	return Task{}, unimplemented("retry")
}
func (UnimplementedService) Approve(context.Context, Ref, ApproveRequest, Key) (Task, error) {
	return Task{}, unimplemented("approve")
}
func (UnimplementedService) Answer(context.Context, Ref, AnswerRequest, Key) (Task, error) {
	return Task{}, unimplemented("answer")
}
func (UnimplementedService) Forget(context.Context, Ref) error {
	return unimplemented("forget")
}
func (UnimplementedService) Stdin(context.Context, Ref, StdinRequest) (StdinState, error) {
	return StdinState{}, unimplemented("stdin")
}
func (UnimplementedService) Log(context.Context, Ref, LogQuery) (Log, error) {
	return Log{}, unimplemented("log")
}
func (UnimplementedService) Artifacts(context.Context, Ref) ([]Artifact, error) {
	return nil, unimplemented("artifacts")
}
func (UnimplementedService) OpenArtifact(context.Context, Ref, string) (Artifact, io.ReadCloser, error) {
	return Artifact{}, nil, unimplemented("artifact")
}
func (UnimplementedService) Backup(context.Context, BackupRequest) (BackupResult, error) {
	return BackupResult{}, unimplemented("backup")
}
func (UnimplementedService) Reload(context.Context) (ReloadResult, error) {
	return ReloadResult{}, unimplemented("reload")
}
func (UnimplementedService) Drain(context.Context, DrainRequest) (Info, error) {
	return Info{}, unimplemented("drain")
}
func (UnimplementedService) Prune(context.Context, PruneRequest) (PruneResult, error) {
	return PruneResult{}, unimplemented("prune")
}
func (UnimplementedService) Shutdown(context.Context, ShutdownRequest) error {
	return unimplemented("shutdown")
}
