-- Everything Kennel keeps for itself. The event log is created apart, since its table names are
-- configurable; the tables of read models are created when a collection is first written to.

CREATE TABLE kennel.component (
    digest TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    bytes BYTEA NOT NULL,
    stored_at BIGINT NOT NULL
);

CREATE TABLE kennel.deployment (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    replica_set TEXT NOT NULL,
    digest TEXT NOT NULL,
    descriptor TEXT NOT NULL,
    settings TEXT NOT NULL,
    -- Where the read model lives: the schema of its tables, or the beginning of their names.
    read_schema TEXT NOT NULL UNIQUE,
    author TEXT NOT NULL,
    deployed_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    last_failure TEXT,
    UNIQUE (projection, number)
);

-- Which deployment of a projection is the active one.
CREATE TABLE kennel.projection (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    deployment BIGINT NOT NULL REFERENCES kennel.deployment (id)
);

-- How far each range of the hash space has been handled. The ranges of a deployment tile it.
CREATE TABLE kennel.checkpoint (
    deployment BIGINT NOT NULL REFERENCES kennel.deployment (id),
    range_start BIGINT NOT NULL,
    range_end BIGINT NOT NULL,
    position BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (deployment, range_start)
);

-- The table that holds the documents of a collection.
CREATE TABLE kennel.collection (
    deployment BIGINT NOT NULL REFERENCES kennel.deployment (id),
    name TEXT COLLATE "C" NOT NULL,
    table_name TEXT NOT NULL,
    PRIMARY KEY (deployment, name)
);

CREATE TABLE kennel.dead_letter (
    deployment BIGINT NOT NULL REFERENCES kennel.deployment (id),
    position BIGINT NOT NULL,
    failure TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (deployment, position)
);

CREATE TABLE kennel.replica_set (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);

CREATE TABLE kennel.generation (
    replica_set TEXT NOT NULL REFERENCES kennel.replica_set (name),
    generation BIGINT NOT NULL,
    owners TEXT NOT NULL,
    cause TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (replica_set, generation)
);

CREATE TABLE kennel.worker (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    replica_set TEXT NOT NULL REFERENCES kennel.replica_set (name),
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    state TEXT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    -- The advisory lock that its process holds while it is connected, where there is such a thing.
    lock_key BIGINT
);
