// Package localapi serves a [task.Service] as HTTP and JSON: the API that durablectl, the MCP server,
// curl and programs in other languages share.
//
//	SOCK=~/.local/state/durable/durable.sock
//	curl --unix-socket $SOCK http://durable/v1/info
//	curl --unix-socket $SOCK http://durable/v1/tasks --json '{"kind":"noop","params":{"duration":"1s"}}'
//	curl --unix-socket $SOCK 'http://durable/v1/tasks?status=running,failed&limit=10'
//	curl --unix-socket $SOCK 'http://durable/v1/tasks/42/wait?timeout=30s'
//	curl --unix-socket $SOCK -N 'http://durable/v1/events?follow=1'
//
// The routes, where {task} is anything that [task.Ref] can name:
//
//	GET    /v1/info                    task.Info
//	GET    /v1/kinds                   {"kinds":[task.KindInfo]}
//	GET    /v1/stats                   task.Stats
//	POST   /v1/tasks                   task.Spec -> task.Task
//	GET    /v1/tasks                   status= kind= root= label=NAME=VALUE order= limit= cursor= -> task.TaskList
//	GET    /v1/tasks/{task}            task.Task
//	DELETE /v1/tasks/{task}            nothing
//	GET    /v1/tasks/{task}/wait       timeout= -> task.Task
//	POST   /v1/tasks/{task}/cancel     task.CancelRequest -> task.Task
//	POST   /v1/tasks/{task}/pause      task.Task
//	POST   /v1/tasks/{task}/resume     task.Task
//	POST   /v1/tasks/{task}/retry      task.RetryRequest -> task.Task, the new one
//	POST   /v1/tasks/{task}/approve    task.ApproveRequest -> task.Task
//	POST   /v1/tasks/{task}/input      task.AnswerRequest -> task.Task
//	POST   /v1/tasks/{task}/stdin      offset= close=, bytes -> task.StdinState (without offset, or -1: at the end)
//	GET    /v1/tasks/{task}/log        stream= attempt= offset= tail= follow= -> bytes, Durable-Log-* headers
//	GET    /v1/tasks/{task}/artifacts  {"artifacts":[task.Artifact]}
//	GET    /v1/tasks/{task}/artifacts/{name}  bytes
//	GET    /v1/events                  after= task= follow= -> task.Event on each line
//	POST   /v1/admin/backup            task.BackupRequest -> task.BackupResult
//	POST   /v1/admin/reload            task.ReloadResult
//	POST   /v1/admin/drain             task.DrainRequest -> task.Info
//	POST   /v1/admin/prune             task.PruneRequest -> task.PruneResult
//	POST   /v1/admin/shutdown          task.ShutdownRequest -> nothing
//	GET    /healthz                    "ok"
//	GET    /metrics                    for Prometheus
//
// A POST that answers a task takes an Idempotency-Key header. A body is JSON, may be left out where all
// of it is optional, and is read strictly: an unknown field is an error that names it, as is
// an unknown parameter of a query. Errors are a [task.Envelope] with the HTTP status of their code. An
// event stream that breaks off ends with one on a line of its own.
//
// # Design
//
// The routes are patterns of net/http's ServeMux, each handler a call of one method of the Service, and
// no middleware: the API is thin, and submits are what a client waits for. Rejected: gRPC (code
// generation and a large tree for clients that we ship ourselves; no curl), JSON-RPC (a second error
// model beside HTTP's), a router or a web framework (ServeMux has had methods and wildcards since Go
// 1.22), WebSockets for events (NDJSON reads with curl and any JSON decoder).
//
// Answers are written by segmentio/encoding, which go-sdk has in the build anyway: byte for byte what encoding/json writes, as a
// fuzz test holds, in 0.4 of its time. Requests are read by encoding/json (see strictjson), which bounds how deep a value may be nested.
//
// A web page must not reach a local daemon: a request with Origin or Referer, or for a foreign Host, is
// refused. Who calls is what the kernel says of the connection's other end, never a header.
package localapi
