from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("live", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="head",
            name="began",
            field=models.BigIntegerField(db_default=0, help_text="The seq at which this life began"),
        ),
    ]
