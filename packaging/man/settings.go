package man

import "fmt"

// Setting is one line of melon.yaml(5).
type Setting struct {
	// Path is the key with those above it; NAME stands for a name that the
	// person chooses, and [] for each item of a list.
	Path    string
	Value   string // what it may be
	Default string // "" when there is none
	Text    string
}

// Settings returns every setting of the configuration, in the order of the page.
func Settings() []Setting {
	return concat(listenSettings, accountSettings, serverSettings("smtp", "SMTP", "465, 587, 25, 2525 in this order, started 300 ms apart, the one that worked on this network remembered; security none skips 465"),
		serverSettings("pop", "POP3", "995, then 110"), popSettings, restSettings)
}

func concat(all ...[]Setting) (out []Setting) {
	for _, s := range all {
		out = append(out, s...)
	}
	return out
}

var listenSettings = []Setting{
	{"listen", "section", "", "Where apps connect, and who may."},
	{"listen.smtp", "list of ADDRESS:PORT", `["127.0.0.1:2525", "[::1]:2525"]`, "Plain SMTP. Port 0 takes a free one. A default address whose family the machine lacks is skipped; a listed one is an error."},
	{"listen.smtps", "list of ADDRESS:PORT", "[]", "SMTP with implicit TLS; Melon's own certificate unless tls is given."},
	{"listen.starttls", "true or false", "false", "Offer STARTTLS on the loopback addresses of smtp. Apps that upgrade by themselves stumble over an own certificate. Always on for addresses beyond loopback."},
	{"listen.tls", "section", "", "A certificate of yours; both files or none."},
	{"listen.tls.cert", "file", "", "Certificate chain, PEM."},
	{"listen.tls.key", "file", "", "Its key, PEM."},
	{"listen.login", "off, optional or required", "optional", "Whether apps log in to Melon. optional: an app that insists may, with any password when none is set."},
	{"listen.password", "secret", "", "The local password when login is required."},
	{"listen.allow", "same-user or any-local", "same-user", "same-user: only processes of this user. any-local: every process of this machine. Nothing beyond loopback may connect unless an address beyond it is listed, login is required and TLS is on."},
	{"listen.max_message", "size", "100MB", "The largest message that is taken, such as 100MB, 512KB or 1GB (units of 1000) or 100MiB (of 1024)."},
	{"control", "section", "", "The web page."},
	{"control.web", "ADDRESS:PORT or off", "127.0.0.1:2580", "Where the web page listens, on loopback. Port 0 takes a free one. A busy port never stops the relay."},
}

var accountSettings = []Setting{
	{"accounts", "section", "", "Your accounts with mail providers. The name of each is also the login name by which an app selects it."},
	{"accounts.NAME", "section", "", "One account."},
	{"accounts.NAME.address", "address", "", "Your mail address there. It must be given."},
	{"accounts.NAME.senders", "list of patterns", "[]", "More senders that this account carries; * matches any run of characters."},
	{"accounts.NAME.username", "text", "the address", "The login name at the provider."},
	{"accounts.NAME.password", "secret", "", "The password at the provider, or where the sign-in is stored."},
	{"accounts.NAME.auth", "auto, none, plain, login, cram-md5, scram-sha-1, scram-sha-256, xoauth2, oauthbearer, external or pop-before-smtp", "auto",
		"How to log in. auto: AUTH when it is offered, strongest first, the next on 504; without it sent as it is, with a POP login upon a refusal; what worked is remembered."},
	{"accounts.NAME.allow_plaintext", "true or false", "false", "This account may send its password over an unencrypted connection."},
	{"accounts.NAME.envelope_from", "keep or account", "keep", "account: for providers that refuse foreign senders, the account's address in MAIL FROM. Never in place of the empty sender."},
	{"accounts.NAME.fallback", "list of accounts", "[]", "Accounts to try when this one cannot be reached or refuses to relay from this network; not for refused passwords, not after the last byte of a message left."},
	{"accounts.NAME.connections", "number", "1", "Connections that the outbox opens to this account's provider at once."},
	{"accounts.NAME.trust", "section", "", "Whom this account's servers are believed to be."},
	{"accounts.NAME.trust.ca", "file", "the system's", "Certificates of the authorities to trust, PEM."},
	{"accounts.NAME.trust.pin", "list of sha256/…", "[]", "Digests of public keys (RFC 7469), one of which the server must have."},
	{"accounts.NAME.trust.server_name", "host", "the server's host", "The name that the certificate must have."},
	{"accounts.NAME.trust.legacy_tls", "true or false", "false", "Allow TLS 1.0 and 1.1."},
	{"accounts.NAME.trust.insecure", "true or false", "false", "Accept any certificate. Whoever is in between reads password and mail."},
	{"accounts.NAME.oauth", "section", "", "Sign-in with OAuth 2.0 (melon-login(1)). melon account add fills it in."},
	{"accounts.NAME.oauth.provider", "text", "", "A provider that Melon knows, such as google or microsoft."},
	{"accounts.NAME.oauth.client_id", "text", "the provider's, where Melon has one", "The client that you registered."},
	{"accounts.NAME.oauth.client_secret", "secret", "", "Its secret, if it has one."},
	{"accounts.NAME.oauth.tenant", "text", "common", "The Microsoft tenant."},
	{"accounts.NAME.oauth.scopes", "list of texts", "the provider's", "What is asked for."},
	{"accounts.NAME.oauth.auth_url", "URL", "the provider's", "The authorization page."},
	{"accounts.NAME.oauth.token_url", "URL", "the provider's", "The token endpoint."},
	{"accounts.NAME.oauth.device_url", "URL", "the provider's", "The device endpoint."},
}

// serverSettings are what smtp and pop have in common.
func serverSettings(key, name, ports string) []Setting {
	p := "accounts.NAME." + key
	text := map[string]string{"smtp": "The server to send by.", "pop": "The POP3 server, for providers that relay only after a POP login."}[key]
	return []Setting{
		{p, "section", "", text},
		{p + ".host", "host", "", fmt.Sprintf("The %s server's name or address.", name)},
		{p + ".port", "number", "0", "0: " + ports + "."},
		{p + ".security", "auto, tls, starttls or none", "auto", "auto: TLS, one way or the other; a server that once offered it is not spoken to without it. tls: from the first octet. starttls: upgraded. none: never; the password goes out only with allow_plaintext."},
	}
}

var popSettings = []Setting{
	{"accounts.NAME.pop.username", "text", "the account's", "The login name at the POP3 server."},
	{"accounts.NAME.pop.password", "secret", "the account's", "The password at the POP3 server."},
	{"accounts.NAME.pop_before_smtp", "section", "", "How the provider's relay opens after a POP login."},
	{"accounts.NAME.pop_before_smtp.window", "duration", "5m", "How long a POP login opens it; shortened by itself when the provider turns out to be stricter."},
	{"accounts.NAME.pop_before_smtp.finish", "login, stat, list or quit", "login", "How far the POP session must get before the provider opens the relay."},
	{"accounts.NAME.pop_before_smtp.hold", "true or false", "false", "Keep the POP session open until the message is sent."},
	{"accounts.NAME.pop_before_smtp.settle", "duration", "0s", "Pause between the POP login and MAIL FROM; learned by itself when refused at first."},
}

var restSettings = []Setting{
	{"default", "account", "", "The account for senders that none claims. Unset: such a message is refused with the reason."},
	{"networks", "section", "", "Networks by which routes tell where you are."},
	{"networks.NAME", "section", "", "One network. Every mark that is given must hold; of one mark's values any will do."},
	{"networks.NAME.subnet", "list of subnets", "[]", "They hold this machine's own address, such as 10.20.0.0/16."},
	{"networks.NAME.gateway", "list of addresses", "[]", "The default gateway."},
	{"networks.NAME.ssid", "list of patterns", "[]", "The wireless network's name."},
	{"networks.NAME.interface", "list of patterns", "[]", "The network interface's name."},
	{"routes", "list", "[]", "Which account carries a message; the first that matches wins, before any other choice of account."},
	{"routes[].from", "pattern", "any", "The envelope sender."},
	{"routes[].to", "pattern", "any", "One recipient: each is looked at by itself."},
	{"routes[].network", "network", "any", "Where this machine is."},
	{"routes[].account", "account", "", "The account that carries it. It must be given."},
	{"delivery", "live, queue or pass", "live", "How an app gets its verdict. live: the provider's own, and the outbox takes over when there is none. queue: always through the outbox. pass: never through the outbox."},
	{"outbox", "section", "", "The messages that wait."},
	{"outbox.retry", "list of durations", "[1m, 2m, 5m, 10m, 30m, 1h]", "Pauses between attempts; the last one repeats until expire. A change of network tries at once."},
	{"outbox.expire", "duration", "120h", "The age at which a message is given up, bounced to you and left for you to decide."},
	{"outbox.history", "number", "1000", "How many finished messages are remembered."},
	{"log", "section", "", "What is logged, and where."},
	{"log.level", "trace, debug, info, warn or error", "info", "trace shows both conversations, with secrets masked."},
	{"log.file", "file", "standard error", "Where the log goes."},
	{"language", "auto, en or ja", "auto", "The language of what a person reads; auto: the environment's."},
}

// Example is the configuration that the page shows.
const Example = `accounts:
  home:
    address: taro@provider-a.example
    password: {keyring: home}
    smtp: {host: smtp.provider-a.example}
    pop: {host: pop.provider-a.example}     # if it wants a POP login first
  work:
    address: taro@work.example
    senders: ["*@work.example"]
    password: {command: ["pass", "show", "work"]}
    smtp: {host: smtp.work.example, port: 587}
default: home
`

// settingsPage is melon.yaml(5).
func settingsPage(o Options) []byte {
	p := newPage("melon.yaml", 5, o)
	p.section("Name")
	p.line("melon.yaml - the configuration of melon(1)")
	p.section("Synopsis")
	p.line("melon config path says where it is; melon config check says what is wrong with it, with line and column.")
	p.section("Description")
	p.text(`A YAML file, read at the start and again upon SIGHUP or when a melon command changes it. It is strict: an unknown key or a bad
value is refused with its line and column, and a running relay keeps the old configuration. A missing file is an empty one. Anchors and
aliases are not taken. The file must not be writable by others.

A duration is a number with a unit, such as 30s, 10m or 120h. A pattern is a mail address in which * matches any run of
characters. A relative file begins beside the configuration file; ~/ is the home directory.

A secret is never in the file itself but in one of these places:`)
	p.item("{keyring: NAME}", "The system's keyring.")
	p.item(`{command: ["pass", "show", "NAME"]}`, "The first line that a command prints.")
	p.item("{file: PATH}", "The first line of a file that nobody else may read (mode 0600).")
	p.item("{env: NAME}", "An environment variable of melon run.")
	p.section("Settings")
	for _, s := range Settings() {
		text := upper(s.Value) + ". " + s.Text
		if s.Default != "" {
			text += " Default: " + s.Default + "."
		}
		p.item(s.Path, text)
	}
	p.section("Which account carries a message")
	p.text(`The first route that matches, else the login name that the app used, else the account that claims the envelope sender, else the one
that claims the header From, else default.`)
	p.section("Example")
	p.verbatim(Example)
	p.section("See also")
	p.line("melon(1), melon-account(1), melon-config(1)")
	return p.bytes()
}
