package upstream

// Class names what a refusal means. The values are part of the command line's
// contract and are stored in the outbox.
type Class string

// The classes of what a server says.
const (
	ClassPOPBeforeSMTPRequired      Class = "pop-before-smtp-required"
	ClassAuthRequired               Class = "auth-required"
	ClassRelayDeniedIP              Class = "relay-denied-ip"
	ClassSenderDomainRestricted     Class = "sender-domain-restricted"
	ClassCredentialsRejected        Class = "credentials-rejected"
	ClassAppPasswordOrOAuthRequired Class = "app-password-or-oauth-required"
	ClassTLSRequired                Class = "tls-required"
	ClassMechanismUnsupported       Class = "mechanism-unsupported"
	ClassRecipientUnknown           Class = "recipient-unknown"
	ClassRecipientDomainUnknown     Class = "recipient-domain-unknown"
	ClassMailboxFull                Class = "mailbox-full"
	ClassMessageTooLarge            Class = "message-too-large"
	ClassContentRejectedSpam        Class = "content-rejected-spam"
	ClassSenderIPBlocklisted        Class = "sender-ip-blocklisted"
	ClassRateLimited                Class = "rate-limited"
	ClassGreylisted                 Class = "greylisted"
	ClassTemporaryLocalProblem      Class = "temporary-local-problem"
	ClassAccountDisabledOrLocked    Class = "account-disabled-or-locked"
	ClassTooManyRecipients          Class = "too-many-recipients"
	ClassSyntaxOrProtocol           Class = "syntax-or-protocol"
	ClassPOPMailboxInUse            Class = "pop-mailbox-in-use"
	ClassPOPLoginDelay              Class = "pop-login-delay"
	ClassPOPCredentialsRejected     Class = "pop-credentials-rejected"
	ClassPOPTemporary               Class = "pop-temporary"
	ClassOther                      Class = "other"
)

// The classes of what no reply says: they come from connecting, or from doctor.
const (
	ClassOK                 Class = "ok"
	ClassOffline            Class = "offline"
	ClassCaptivePortal      Class = "captive-portal"
	ClassDNSFailure         Class = "dns-failure"
	ClassDNSHijacked        Class = "dns-hijacked"
	ClassPortBlocked        Class = "port-blocked"
	ClassSMTPIntercepted    Class = "smtp-intercepted"
	ClassStartTLSStripped   Class = "starttls-stripped"
	ClassCertificateInvalid Class = "certificate-invalid"
	ClassClockWrong         Class = "clock-wrong"
	ClassVPNRoute           Class = "vpn-route"
	ClassServerUnreachable  Class = "server-unreachable"
	ClassServerBroken       Class = "server-broken"
)

// ReplyClasses lists the classes that a server's reply can have.
func ReplyClasses() []Class {
	return []Class{
		ClassPOPBeforeSMTPRequired, ClassAuthRequired, ClassRelayDeniedIP,
		ClassSenderDomainRestricted, ClassCredentialsRejected,
		ClassAppPasswordOrOAuthRequired, ClassTLSRequired,
		ClassMechanismUnsupported, ClassRecipientUnknown,
		ClassRecipientDomainUnknown, ClassMailboxFull, ClassMessageTooLarge,
		ClassContentRejectedSpam, ClassSenderIPBlocklisted, ClassRateLimited,
		ClassGreylisted, ClassTemporaryLocalProblem,
		ClassAccountDisabledOrLocked, ClassTooManyRecipients,
		ClassSyntaxOrProtocol, ClassPOPMailboxInUse, ClassPOPLoginDelay,
		ClassPOPCredentialsRejected, ClassPOPTemporary, ClassOther,
	}
}

// NetworkClasses lists the classes that no reply says.
func NetworkClasses() []Class {
	return []Class{
		ClassOK, ClassOffline, ClassCaptivePortal, ClassDNSFailure,
		ClassDNSHijacked, ClassPortBlocked, ClassSMTPIntercepted,
		ClassStartTLSStripped, ClassCertificateInvalid, ClassClockWrong,
		ClassVPNRoute, ClassServerUnreachable, ClassServerBroken,
	}
}

// personal reports whether only the person (or the provider's support desk) can
// mend a permanent refusal of this class; it says nothing about temporary ones.
func (c Class) personal() bool {
	switch c {
	case ClassPOPBeforeSMTPRequired, ClassAuthRequired, ClassRelayDeniedIP,
		ClassSenderDomainRestricted, ClassCredentialsRejected,
		ClassAppPasswordOrOAuthRequired, ClassTLSRequired,
		ClassMechanismUnsupported, ClassAccountDisabledOrLocked,
		ClassPOPCredentialsRejected:
		return true
	}
	return false
}

// StopsAttempts reports whether an account that was refused with this class
// makes no further attempts of its own until the person has acted: another
// login with the same secret cannot help and may lock the account. A refused
// relay is not among them, as mail to the provider's own domain may still go.
func (c Class) StopsAttempts() bool {
	switch c {
	case ClassCredentialsRejected, ClassAppPasswordOrOAuthRequired,
		ClassMechanismUnsupported, ClassAccountDisabledOrLocked,
		ClassPOPCredentialsRejected, ClassTLSRequired:
		return true
	}
	return false
}

// RelayRefusal reports whether the class is a refusal to relay that a POP login
// may lift.
func (c Class) RelayRefusal() bool {
	switch c {
	case ClassPOPBeforeSMTPRequired, ClassAuthRequired, ClassRelayDeniedIP:
		return true
	}
	return false
}
