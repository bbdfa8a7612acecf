package client

import (
	"context"

	"durable/ipc/task"
)

// Info tells of the daemon.
func (c *Client) Info(ctx context.Context) (task.Info, error) {
	return get[task.Info](ctx, c, "/v1/info")
}

// Kinds tells what the daemon can run.
func (c *Client) Kinds(ctx context.Context) ([]task.KindInfo, error) {
	list, err := get[struct{ Kinds []task.KindInfo }](ctx, c, "/v1/kinds")
	return list.Kinds, err
}

// Stats tells the daemon's figures.
func (c *Client) Stats(ctx context.Context) (task.Stats, error) {
	return get[task.Stats](ctx, c, "/v1/stats")
}

// admin sends a request without a key. repeat says whether doing it twice is the same as once.
func admin[T any](ctx context.Context, c *Client, verb string, body any, repeat bool) (T, error) {
	req, err := c.newPost("/v1/admin/"+verb, body)
	if err != nil {
		var zero T
		return zero, err
	}
	req.repeat = repeat
	return call[T](ctx, c, req)
}

// Backup writes a copy of the store. It is not repeated: the second would find the first one's file.
func (c *Client) Backup(ctx context.Context, req task.BackupRequest) (task.BackupResult, error) {
	return admin[task.BackupResult](ctx, c, "backup", req, false)
}

// Reload makes the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) (task.ReloadResult, error) {
	return admin[task.ReloadResult](ctx, c, "reload", nil, true)
}

// Drain holds the queue back, or lets it go on.
func (c *Client) Drain(ctx context.Context, req task.DrainRequest) (task.Info, error) {
	return admin[task.Info](ctx, c, "drain", req, true)
}

// Prune removes old terminal tasks. It is not repeated: the figures would be those of the second time.
func (c *Client) Prune(ctx context.Context, req task.PruneRequest) (task.PruneResult, error) {
	return admin[task.PruneResult](ctx, c, "prune", req, false)
}

// Shutdown asks the daemon to leave. It never starts one, waits for none, and is not repeated: the
// daemon may be another one by then.
func (c *Client) Shutdown(ctx context.Context, body task.ShutdownRequest) error {
	req, err := c.newPost("/v1/admin/shutdown", body)
	if err != nil {
		return err
	}
	req.passive, req.patience = true, Never
	return c.retry(ctx, req, func() error { return c.fetch(ctx, req, nil) })
}
