//! Explanations read down to rows of files: what is added up, and what only decides what is.

use protocol::explain::{ExplainOptions, explain};
use protocol::tenant::Tenant;

use super::Shop;
use crate::explain::{ExplainFormat, render};
use crate::load::Target;
use crate::tenant::MAIN;

/// Reps sell products under a manager, and are paid by the tiers of their plan.
const FILES: [(&str, &str); 15] = [
    ("model.toml", "name = \"pay\"\n"),
    ("dimensions/plan.toml", "name = \"plan\"\n"),
    ("dimensions/step.toml", "name = \"step\"\n"),
    ("dimensions/manager.toml", "name = \"manager\"\n"),
    ("dimensions/status.toml", "name = \"status\"\n"),
    (
        "dimensions/rep.toml",
        "name = \"rep\"\n[[attribute]]\nname = \"plan\"\ntype = \"member of plan\"\n\
         [[attribute]]\nname = \"manager\"\ntype = \"member of manager\"\n",
    ),
    (
        "dimensions/product.toml",
        "name = \"product\"\n[[level]]\nname = \"category\"\n[[level]]\nname = \"product\"\n\
         [[hierarchy]]\nname = \"kind\"\nlevels = [\"category\", \"product\"]\n",
    ),
    (
        "dimensions/date.toml",
        "name = \"date\"\nkey_type = \"date\"\n[calendar]\nstart = 2026-01-01\nend = 2026-03-31\n",
    ),
    (
        "cubes/deals.toml",
        "name = \"deals\"\nkind = \"records\"\nkey = [{ name = \"deal\", type = \"integer\" }]\n\
         dimensions = [\"date\", \"rep\", \"product\", \"status\"]\n\
         [[measure]]\nname = \"value\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"credit\"\ntype = \"decimal(18,2)\"\n",
    ),
    (
        "cubes/rates.toml",
        "name = \"rates\"\nkind = \"cells\"\ndimensions = [\"product.category\"]\n\
         [[measure]]\nname = \"rate\"\ntype = \"decimal(5,4)\"\nconsolidation = \"none\"\n",
    ),
    (
        "cubes/tiers.toml",
        "name = \"tiers\"\nkind = \"cells\"\ndimensions = [\"plan\", \"step\"]\n\
         [[measure]]\nname = \"threshold\"\ntype = \"decimal(9,2)\"\nconsolidation = \"none\"\n\
         [[measure]]\nname = \"rate\"\ntype = \"decimal(5,4)\"\nconsolidation = \"none\"\n",
    ),
    (
        "cubes/pay.toml",
        "name = \"pay\"\nkind = \"cells\"\ndimensions = [\"rep\"]\n\
         [[measure]]\nname = \"won\"\ntype = \"decimal(18,2)\"\n\
         [[measure]]\nname = \"due\"\ntype = \"decimal(18,4)\"\n",
    ),
    (
        "cubes/team.toml",
        "name = \"team\"\nkind = \"cells\"\ndimensions = [\"manager\", \"date.month\"]\n\
         [[measure]]\nname = \"value\"\ntype = \"decimal(18,2)\"\n",
    ),
    (
        "rules/pay.toml",
        "[[formula]]\ntarget = \"deals.credit\"\ntext = \"value * rates.rate\"\n\
         [[formula]]\ntarget = \"pay.won\"\n\
         text = \"deals.credit[FILTER: deals.status = 'Won'][BY SUM: rep]\"\n\
         [[formula]]\ntarget = \"pay.due\"\ntext = \"TIER(won, tiers, plan: rep.plan)\"\n",
    ),
    (
        "rules/team.toml",
        "[[formula]]\ntarget = \"team.value\"\n\
         text = \"deals.value[BY SUM: rep.manager ON date, date.month]\"\n",
    ),
];

async fn shop() -> Shop {
    let shop = Shop::of(&FILES).await;
    let members = |name: &str| Target::Dimension(name.into());
    let cells = |name: &str| Target::Cube(name.into());
    shop.load(members("plan"), "plans.csv", "key\nbasic\nextra\n").await;
    shop.load(members("manager"), "managers.csv", "key\nmia\nnoa\n").await;
    shop.load(members("step"), "steps.csv", "key\n1\n2\n").await;
    shop.load(members("status"), "status.csv", "key\nWon\nLost\n").await;
    shop.load(members("rep"), "reps.csv", "key,plan\nada,extra\n").await;
    let map =
        "[members]\nkey = \"key\"\nvalid_from = \"from\"\n[attributes]\nmanager = \"manager\"\n";
    let bosses = "key,manager,from\nada,mia,2026-01-01\nada,noa,2026-02-10\n";
    shop.load_mapped(members("rep"), "bosses.csv", bosses, map).await;
    let map = "[members]\nkey = \"key\"\nlevel = \"category\"\n";
    shop.load_mapped(members("product"), "kinds.csv", "key\ngames\n", map).await;
    let map = "[members]\nkey = \"key\"\nlevel = \"product\"\nparent = { kind = \"kind\" }\n";
    shop.load_mapped(members("product"), "products.csv", "key,kind\nchess,games\n", map).await;
    let tiers = "plan,step,threshold,rate\nbasic,1,0,0.02\nextra,2,100,0.05\nextra,1,0,0.01\n";
    shop.load(cells("tiers"), "tiers.csv", tiers).await;
    shop.load(cells("rates"), "rates.csv", "product,rate\ngames,0.5\n").await;
    let deals = "deal,date,rep,product,status,value\n7,2026-02-20,ada,chess,Won,300\n\
                 8,2026-02-01,ada,chess,Lost,50\n";
    shop.load(cells("deals"), "deals.csv", deals).await;
    shop
}

/// An explanation without the times of its writes.
async fn explained(shop: &Shop, cell: &str) -> String {
    let snapshot = shop.tenant.read("").unwrap().snapshot(MAIN).unwrap();
    let options = ExplainOptions::default();
    let explained = explain(shop.tenant.as_ref(), &snapshot, cell, options).await.unwrap();
    let text = render(&explained, ExplainFormat::Text);
    let is_time = |word: &&str| word.len() == 27 && word.ends_with('Z');
    let line =
        |line: &str| line.split(' ').filter(|word| !is_time(word)).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_shows_the_table_and_what_chose_it() {
    let shop = shop().await;
    let expected = "\
pay.due[rep=ada] = 3.5000  (formula)
  : TIER(won, tiers, plan: rep.plan)
  @ #1 ana apply: TIER(won, tiers, plan: rep.plan)
  rep.plan[rep=ada] = extra  (attribute)
    @ #6 bob http, reps.csv row 2: extra
  tiers[plan=extra] = 3.5  (tier)
    ! of 150
    0 to 100 = 1  (tier slice)
      ! 100 at 0.01
      tiers.threshold[plan=extra, step=1] = 0.00  (input)
        @ #10 bob http, tiers.csv row 4: 0.00
      tiers.rate[plan=extra, step=1] = 0.0100  (input)
        @ #10 bob http, tiers.csv row 4: 0.0100
    100 on = 2.5  (tier slice)
      ! 50 at 0.05
      tiers.threshold[plan=extra, step=2] = 100.00  (input)
        @ #10 bob http, tiers.csv row 3: 100.00
      tiers.rate[plan=extra, step=2] = 0.0500  (input)
        @ #10 bob http, tiers.csv row 3: 0.0500
  pay.won[rep=ada] = 150.00  (formula)
    : deals.credit[FILTER: deals.status = 'Won'][BY SUM: rep]
    @ #1 ana apply: deals.credit[FILTER: deals.status = 'Won'][BY SUM: rep]
    SUM[rep=ada] = 150  (sum)
      contribution[date=2026-02-20, rep=ada, product=chess, status=Won] = 150  (contribution)
        deals.credit[deal=7, date=2026-02-20, rep=ada, product=chess, status=Won] = 150.00  (formula)
          : value * rates.rate
          @ #1 ana apply: value * rates.rate
          deals.value[deal=7, date=2026-02-20, rep=ada, product=chess, status=Won] = 300.00  (input)
            @ #12 bob http, deals.csv row 2: 300.00
          product.kind[product=chess] = games  (parent)
            @ #9 bob http, products.csv row 2: games
          rates.rate[product=games] = 0.5000  (input)
            @ #11 bob http, rates.csv row 2: 0.5000
        deals.status[deal=7] = Won  (member)
          @ #12 bob http, deals.csv row 2: Won";
    assert_eq!(explained(&shop, "pay.due[rep=ada]").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_shown_with_the_day_from_which_he_is_in_charge() {
    let shop = shop().await;
    let expected = "\
team.value[manager=noa, date=2026-02] = 300.00  (formula)
  : deals.value[BY SUM: rep.manager ON date, date.month]
  @ #1 ana apply: deals.value[BY SUM: rep.manager ON date, date.month]
  SUM[manager=noa, date=2026-02] = 300.00  (sum)
    contribution[date=2026-02-20, rep=ada, product=chess, status=Won] = 300.00  (contribution)
      rep.manager[rep=ada] = noa  (attribute)
        ! on 2026-02-20; holds from 2026-02-10
        @ #7 bob http, bosses.csv row 3: noa
      deals.value[deal=7, date=2026-02-20, rep=ada, product=chess, status=Won] = 300.00  (input)
        @ #12 bob http, deals.csv row 2: 300.00";
    assert_eq!(explained(&shop, "team.value[manager=noa, date=2026-02]").await, expected);
    let before = explained(&shop, "team.value[manager=mia, date=2026-02]").await;
    let manager = "      rep.manager[rep=ada] = mia  (attribute)
        ! on 2026-02-01; holds from 2026-01-01
        @ #7 bob http, bosses.csv row 2: mia";
    assert!(before.contains(manager), "{before}");
}
