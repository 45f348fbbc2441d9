package reply

// groups are words that mean the same to the rules, whatever the language: a
// rule says "$box .. $gone" for a mailbox that is no longer there. A word may
// stand in several groups; "*" ends a word that may go on. Scripts without
// blanks have no words and are named in the rules themselves.
var groups = map[string]string{
	// neg turns the words around it into their opposite.
	"neg": "not no never nor cannot cant couldnt isnt arent wasnt werent doesnt dont didnt wont havent hasnt unable without neither nobody " +
		"kein keine keinen nicht ne pas aucun aucune nessun nessuna ningun ninguna nie geen niet",

	// must is what servers want done, and auth the login they want.
	"must": "must need needs needed required requires require necessary mandatory please should first before only enable obligatoire requis* requier* " +
		"necessaire* erforderlich benotigt mussen muss debe* requer* necesari* necessari* richiest* deve* devi obbligatori* obligatori* vereist moet " +
		"verplicht wymagan* требуется необходим*",
	"auth": "auth authenticat* authoriz* authoris* login logon logged log signin anmeld* authentifi* einloggen identifi* connecter autentica* autenticac* " +
		"acceso accesso accedere aanmeld* inloggen uwierzytelni* zalog* logowani* авторизац* аутентификац*",

	// box is a recipient, or what mail for one is put into.
	"box": "~rcpt mailaddress* recipient* user* userid username* mailbox* mailfolder* maildrop* account* address* addressee* alias* inbox customer* employee* " +
		"person subscriber* localpart destinataire* utilisateur* adresse* boite* compte* destinatario* usuario* cuenta* buzon casilla* direccion* " +
		"utente utenti casella indirizzo empfanger* empfaenger* benutzer* adressat* postfach konto kontakt gebruiker* ontvanger* postbus odbiorca* " +
		"utilizador* endereco* conta caixa",

	// gone is what such a thing is when no mail reaches it.
	"gone": "unknown invalid wrong bad inactive inactivated disabled deactivat* suspend* expired closed terminated discontinued cancel* deleted " +
		"removed nonexist* inexist* unavailable unallocated unrecogni* unroutable unrouteable undeliverable moved locked banned restricted abandoned " +
		"dormant retired frozen obsolete incorrect* rejected refused denied failed illegal unregistered undefined bogus nonworking " +
		"inconnu* invalide* desactive* ferme* supprim* bloque* sconosciut* inesist* disattiv* disatt* errat* bloccat* desconocid* inexistent* " +
		"invalid* inactiv* inval* unbekannt* ungultig* ungueltig* gesperrt* deaktiv* geloscht* onbekend* ongeldig* opgeheven nieznan* nieaktywn* " +
		"zablokowan* desativad* desconhecid*",

	// there is what a mailbox that takes mail would be.
	"there": "exist* found known valid recogni* listed here accept* available active activated allowed permitted registered present local locate* " +
		"authori* receiv* deliver* ok find match* configured defined customer account mailbox user",

	// from is the sender of a message, as far as its address goes.
	"from": "sender* mailfrom originator* expediteur* emetteur* absender* remitente* mittente* remetente* afzender* nadawc*",

	// net is the machine or network that connects.
	"net": "ip ips ~ip client host hosts server* network* connection* connecting mta isp country region",

	// refuse is any word for no.
	"refuse": "reject* refus* den* block* ban banned disallow* prohibit* forbid* forbidden unacceptable unwelcome decline* bounced drop* " +
		"abgelehnt abgewiesen verweigert rejete* refuse* rifiutat* rechaza* deneg* recusad* geweigerd odrzucon*",

	// full is a mailbox without room.
	"full": "full overquota exceed* exceeded exceeds over exhausted exceeding overlimit voll ubervoll plein* piena pieno llen* cheia superad* " +
		"depass* uberschritten vol",

	// space is what a mailbox runs out of.
	"space": "quota* storage space mailbox* mailfolder* inbox maildir* mailfile maildrop postfach speicher* boite* casella buzon caixa espace espacio spazio",
}
