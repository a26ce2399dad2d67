BEGIN TRANSACTION;
CREATE TABLE devices (
	user TEXT NOT NULL, 
	device TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	cursor BIGINT, 
	last_msg_id BIGINT NOT NULL, 
	last_login_at BIGINT, 
	PRIMARY KEY (user, device)
)
 WITHOUT ROWID

;
INSERT INTO "devices" VALUES('1','',0,NULL,14,1700000000000);
INSERT INTO "devices" VALUES('1','a',2,NULL,13,1700000000000);
INSERT INTO "devices" VALUES('2','b',1,1,1,1700000000000);
INSERT INTO "devices" VALUES('bravo','c',1,NULL,2,1700000000000);
CREATE TABLE fences (
	user TEXT NOT NULL, 
	device TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	logged_in_at BIGINT NOT NULL, 
	last_message_id INTEGER NOT NULL, 
	PRIMARY KEY (user, device, generation)
)
 WITHOUT ROWID

;
INSERT INTO "fences" VALUES('1','a',1,1700000000000,0);
INSERT INTO "fences" VALUES('1','a',2,1700000000000,8);
INSERT INTO "fences" VALUES('2','b',1,1700000000000,0);
INSERT INTO "fences" VALUES('bravo','c',1,1700000000000,0);
CREATE TABLE mailbox_entries (
	user TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	message_id INTEGER NOT NULL, 
	PRIMARY KEY (user, seq), 
	FOREIGN KEY(user) REFERENCES mailboxes (user), 
	FOREIGN KEY(message_id) REFERENCES messages (id)
)
 WITHOUT ROWID

;
INSERT INTO "mailbox_entries" VALUES('1',1,4);
INSERT INTO "mailbox_entries" VALUES('1',2,5);
INSERT INTO "mailbox_entries" VALUES('1',3,6);
INSERT INTO "mailbox_entries" VALUES('2',1,1);
INSERT INTO "mailbox_entries" VALUES('2',2,3);
INSERT INTO "mailbox_entries" VALUES('2',3,7);
INSERT INTO "mailbox_entries" VALUES('2',4,8);
INSERT INTO "mailbox_entries" VALUES('bravo',1,2);
CREATE TABLE mailboxes (
	user TEXT NOT NULL, 
	epoch TEXT NOT NULL, 
	head BIGINT NOT NULL, 
	PRIMARY KEY (user)
)
 WITHOUT ROWID

;
INSERT INTO "mailboxes" VALUES('1','epoch of 1',3);
INSERT INTO "mailboxes" VALUES('2','epoch of 2',4);
INSERT INTO "mailboxes" VALUES('bravo','epoch of bravo',1);
CREATE TABLE messages (
	id INTEGER NOT NULL, 
	sender TEXT NOT NULL, 
	device TEXT NOT NULL, 
	generation BIGINT NOT NULL, 
	client_msg_id BIGINT, 
	msg_id BIGINT NOT NULL, 
	recipient TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	content TEXT NOT NULL, 
	message_type TEXT NOT NULL, 
	session_id BIGINT, 
	accepted_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (sender, msg_id)
);
INSERT INTO "messages" VALUES(1,'1','a',1,NULL,10,'2',1,'message 10','text',NULL,1700000000000);
INSERT INTO "messages" VALUES(2,'1','a',1,NULL,11,'bravo',1,'message 11','image',NULL,1700000000000);
INSERT INTO "messages" VALUES(3,'1','a',1,NULL,12,'2',2,'message 12','text',5,1700000000000);
INSERT INTO "messages" VALUES(4,'1','a',1,NULL,13,'1',1,'message 13','text',NULL,1700000000000);
INSERT INTO "messages" VALUES(5,'2','b',1,NULL,1,'1',2,'hi','text',NULL,1700000000000);
INSERT INTO "messages" VALUES(6,'bravo','c',1,NULL,2,'1',3,'message 2','text',9,1700000000000);
INSERT INTO "messages" VALUES(7,'1','',0,NULL,14,'2',3,'message 14','text',NULL,1700000001000);
INSERT INTO "messages" VALUES(8,'1','',0,14,1700000001000000,'2',4,'it''s another','text',NULL,1700000001000);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
INSERT INTO "meta" VALUES('application','im-proto');
INSERT INTO "meta" VALUES('epoch','0123456789abcdef');
INSERT INTO "meta" VALUES('schema_version','1');
CREATE INDEX messages_by_client_msg_id ON messages (sender, client_msg_id) WHERE client_msg_id IS NOT NULL;
COMMIT;
