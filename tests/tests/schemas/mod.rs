//! Schemas: what is told of a struct, and whether it agrees with what the struct's own reader does.

mod compare;
mod golden;
mod json;
mod judge;
mod layers;
mod publish;
mod replay;
mod rich;
mod template;
mod texts;

kvconf_tests::on_every_backend! {
    in crate::schemas;
    publish {
        a_schema_comes_back_as_it_was,
        the_same_schema_is_written_once,
        an_older_version_does_not_take_the_place_of_a_newer_one,
        instances_that_start_together_publish_once,
    }
    layers {
        published_layers_tell_which_keys_are_settings,
        every_state_of_the_layers_is_judged,
    }
    replay {
        what_was_refused_once_is_told_with_its_revisions,
    }
}
