-- Everything Kennel keeps for itself. The event log is created apart, since its table names are
-- configurable; the tables of read models are created when a collection is first written to.

CREATE TABLE kennel.component (
    digest TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    bytes BYTEA NOT NULL,
    stored_at BIGINT NOT NULL
);

-- Operations on projections are done by one transaction after another, each of which moves this on.
CREATE TABLE kennel.registry (
    revision BIGINT NOT NULL
);
INSERT INTO kennel.registry (revision) VALUES (0);

CREATE TABLE kennel.projection (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    replica_set TEXT NOT NULL,
    -- The namespace in which people find the documents of the serving read model: the schema of the views,
    -- or the beginning of their names.
    namespace TEXT NOT NULL UNIQUE,
    activity TEXT NOT NULL,
    promotion TEXT NOT NULL,
    -- Whether the serving read model is fenced so that the candidate can catch up: 0 or 1.
    fenced BIGINT NOT NULL
);

-- Documents and checkpoints that belong together. Deployments that continue one another share one.
CREATE TABLE kennel.read_model (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection TEXT COLLATE "C" NOT NULL REFERENCES kennel.projection (name),
    -- The namespace of the tables: their schema, or the beginning of their names.
    namespace TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL
);

-- The history of each projection. Its lines stay when their read models are gone.
CREATE TABLE kennel.deployment (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection TEXT COLLATE "C" NOT NULL REFERENCES kennel.projection (name),
    number BIGINT NOT NULL,
    digest TEXT NOT NULL,
    descriptor TEXT NOT NULL,
    settings TEXT NOT NULL,
    read_model BIGINT NOT NULL REFERENCES kennel.read_model (id),
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    from_position BIGINT NOT NULL,
    deployed_at BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    -- What it is doing, as its workers last reported.
    state TEXT NOT NULL,
    last_failure TEXT,
    UNIQUE (projection, number)
);

-- At most one serves, and at most one is the candidate beside it.
CREATE UNIQUE INDEX deployment_serving ON kennel.deployment (projection) WHERE outcome = 'serving';
CREATE UNIQUE INDEX deployment_candidate ON kennel.deployment (projection) WHERE outcome = 'candidate';

-- How far each range of the hash space has been handled. The ranges of a read model tile it.
CREATE TABLE kennel.checkpoint (
    read_model BIGINT NOT NULL REFERENCES kennel.read_model (id),
    range_start BIGINT NOT NULL,
    range_end BIGINT NOT NULL,
    position BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    -- The last event of the log at or below the position, by position and id: 0 and empty if there is none.
    witness_position BIGINT NOT NULL,
    witness_id TEXT NOT NULL,
    moved_at BIGINT NOT NULL,
    PRIMARY KEY (read_model, range_start)
);

-- The table that holds the documents of a collection.
CREATE TABLE kennel.collection (
    read_model BIGINT NOT NULL REFERENCES kennel.read_model (id),
    name TEXT COLLATE "C" NOT NULL,
    table_name TEXT NOT NULL,
    PRIMARY KEY (read_model, name)
);

-- The view under which people find a collection, whichever read model serves. It stays when a read model
-- has no such collection, and is empty then.
CREATE TABLE kennel.published (
    projection TEXT COLLATE "C" NOT NULL REFERENCES kennel.projection (name),
    collection TEXT COLLATE "C" NOT NULL,
    view_name TEXT NOT NULL,
    PRIMARY KEY (projection, collection)
);

CREATE TABLE kennel.dead_letter (
    read_model BIGINT NOT NULL REFERENCES kennel.read_model (id),
    position BIGINT NOT NULL,
    failure TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (read_model, position)
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
