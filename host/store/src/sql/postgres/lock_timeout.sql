SELECT set_config('lock_timeout', '500', true)
