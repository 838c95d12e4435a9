-- The number of the deployment that a rollback returned to.
ALTER TABLE kennel_deployment ADD COLUMN returns_to BIGINT;

-- The record of operations: actor, operation, time and reason. Nothing is ever taken from it.
CREATE TABLE kennel_operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    projection TEXT NOT NULL REFERENCES kennel_projection (name),
    operation TEXT NOT NULL,
    -- What distinguishes it from others of its kind, such as `after 8500`.
    detail TEXT,
    -- The number of the deployment that it was about, if it was about one.
    deployment BIGINT,
    actor TEXT NOT NULL,
    reason TEXT,
    carried_out_at BIGINT NOT NULL
);
CREATE INDEX kennel_operation_projection ON kennel_operation (projection, id);

-- The table that a view shows; none if it is empty. One that serves and is not shown will be, by the next garbage
-- collection.
ALTER TABLE kennel_published ADD COLUMN table_name TEXT;

-- Why a candidate makes no progress, if no event is the reason: one line for each source, a host or a controller, that
-- reports it. The source repeats the report; a condition that was not repeated for long is over. As long as a source
-- reports the same reason, `since` stays.
CREATE TABLE kennel_condition (
    deployment BIGINT NOT NULL REFERENCES kennel_deployment (id),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    since BIGINT NOT NULL,
    reported_at BIGINT NOT NULL,
    PRIMARY KEY (deployment, source)
);

-- No two collections share a view.
CREATE UNIQUE INDEX kennel_published_view ON kennel_published (view_name);

-- When it was last asked to be stored. One that was never deployed goes some time after that.
ALTER TABLE kennel_component ADD COLUMN wanted_at BIGINT NOT NULL DEFAULT 0;
