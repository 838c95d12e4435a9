-- The number of the deployment that a rollback returned to.
ALTER TABLE kennel.deployment ADD COLUMN returns_to BIGINT;

-- The record of operations: actor, operation, time and reason. Nothing is ever taken from it.
CREATE TABLE kennel.operation (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection TEXT COLLATE "C" NOT NULL REFERENCES kennel.projection (name),
    operation TEXT NOT NULL,
    -- What distinguishes it from others of its kind, such as `after 8500`.
    detail TEXT,
    -- The number of the deployment that it was about, if it was about one.
    deployment BIGINT,
    actor TEXT NOT NULL,
    reason TEXT,
    carried_out_at BIGINT NOT NULL
);
CREATE INDEX operation_projection ON kennel.operation (projection, id);

-- The table that a view shows; none if it is empty. One that serves and is not shown will be, by the next garbage
-- collection.
ALTER TABLE kennel.published ADD COLUMN table_name TEXT;

-- Why a candidate makes no progress, if no event is the reason: one line for each source, a host or a controller, that
-- reports it. The source repeats the report; a condition that was not repeated for long is over. As long as a source
-- reports the same reason, `since` stays.
CREATE TABLE kennel.condition (
    deployment BIGINT NOT NULL REFERENCES kennel.deployment (id),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    since BIGINT NOT NULL,
    reported_at BIGINT NOT NULL,
    PRIMARY KEY (deployment, source)
);

-- No two collections share a view.
CREATE UNIQUE INDEX published_view ON kennel.published (view_name);

-- When it was last asked to be stored. One that was never deployed goes some time after that.
ALTER TABLE kennel.component ADD COLUMN wanted_at BIGINT NOT NULL DEFAULT 0;
