/** The tables of a store file. Values stand last in their rows, so that reading heads touches none of their pages. */

/** `Mill`: whose file this is. */
export const applicationId = 0x4d696c6c

/** Version of the tables below, in the file's `user_version`. A file of a newer one is refused. */
export const schemaVersion = 1

export const tables = `
  CREATE TABLE fleets (
    fleet TEXT PRIMARY KEY,
    lineage TEXT NOT NULL,
    -- The last fencing token that was given.
    tokens INTEGER NOT NULL,
    -- Counts the writes of documents, for those who watch.
    changes INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE documents (
    fleet TEXT NOT NULL,
    document TEXT NOT NULL,
    -- The head.
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- Up to here it has been announced: the outbox is what lies above.
    announced INTEGER NOT NULL,
    change INTEGER NOT NULL,
    PRIMARY KEY (fleet, document)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX documents_by_change ON documents (fleet, change);

  CREATE TABLE revisions (
    fleet TEXT NOT NULL,
    document TEXT NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    parent TEXT,
    tombstone INTEGER NOT NULL,
    writer TEXT NOT NULL,
    message TEXT,
    schema INTEGER NOT NULL,
    at REAL NOT NULL,
    bytes INTEGER NOT NULL,
    value BLOB,
    UNIQUE (fleet, document, number),
    UNIQUE (fleet, document, id)
  ) STRICT;

  CREATE TABLE leases (
    fleet TEXT NOT NULL,
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    -- The monotonic clock means something only within one boot.
    boot TEXT NOT NULL,
    until REAL NOT NULL,
    -- until, less the time when it was written.
    span REAL NOT NULL,
    PRIMARY KEY (fleet, name)
  ) STRICT, WITHOUT ROWID;
`
