// Package control shows the daemon to the command line, the tray and the web
// page, and takes their commands: HTTP and JSON on a unix socket that only this
// user can open.
//
//	GET  /v1/status                 api.Status
//	GET  /v1/accounts               []api.Account
//	POST /v1/accounts/NAME/clear    end an account's attention
//	GET  /v1/outbox                 []api.Entry
//	GET  /v1/outbox/ID              api.Entry
//	GET  /v1/outbox/ID/message      message/rfc822
//	POST /v1/outbox/send            api.IDs -> api.Done; also hold, release, remove
//	GET  /v1/history                []api.Event, the newest last
//	GET  /v1/events?since=N         text/event-stream of api.Event
//	POST /v1/pause, /v1/resume, /v1/reload
//	POST /v1/open                   api.Open -> api.Link; on the socket alone
//	POST /v1/stop                   ends the relay, as SIGTERM does; on the socket alone
//
// A client reads the status first, then follows the events since Status.Event:
// it misses nothing. Every answer that is not 2xx is an api.Problem.
//
// The same calls stand behind the web page's checks (see web): Handler. api holds
// the plain types, client the Go client.
package control
